/**
 * For /bin/sh, with a tarball on standard input: TARGET COMMAND SHA256 [FLAG OF TAR …]: unpacks it to the folder TARGET, which appears whole, and
 * only when what came is what was sent. One that is there already stays as it is. COMMAND (`gzip -dc`, `cat`) unpacks the tarball itself, and is
 * ours: it is split at its blanks. What comes is hashed while it is unpacked and never lies there itself: it would be written, and read twice,
 * for nothing. It needs mkfifo, tee, sha256sum and tar, GNU's or busybox's.
 */
export const UNPACK = `
set -eu
target=$1 command=$2 hash=$3
shift 3
command -v "\${command%% *}" >/dev/null || { echo "there is no \${command%% *} there to unpack it with; install it, or pack it otherwise" >&2; exit 1; }
dir=$(dirname "$target")
name=.$(basename "$target").part
# Of its own: one whose line broke may still be at it, and takes away its half when it notices. What a crash has left is old.
part=$dir/$name.$$
mkdir -p "$dir"
find "$dir" -maxdepth 1 -name "$name.*" -mmin +60 -exec rm -rf {} \\;
mkdir "$part" "$part/files"
pid=
drop() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || :
  rm -rf "$part"
}
trap drop EXIT
# When the connection breaks, that must not end us before the half of it is taken away.
trap '' HUP
mkfifo "$part/bytes"
sha256sum <"$part/bytes" >"$part/sum" &
pid=$!
# tar stops where its archive ends; what may follow belongs to the hash, too.
tee "$part/bytes" | $command | { tar -x -f - -C "$part/files" "$@" && cat >/dev/null; }
wait "$pid"
pid=
case $(cat "$part/sum") in
"$hash "*) ;;
*) echo 'what arrived is not what was sent; it was thrown away' >&2; exit 1 ;;
esac
[ -d "$target" ] || mv "$part/files" "$target"
`;

/** For what comes over a slow line to be there, beside the time for unpacking: it is broken off when it comes more slowly than this. */
export const SLOWEST_BYTES_PER_S = 50_000;
