/**
 * FOLDER KIND NAME PACKER SHA256, with the tarball on standard input: unpacks it to FOLDER/KIND/NAME, which appears whole, and only when
 * what came is what was sent. It is hashed while it is unpacked, and never lies there itself: that would be written, and read twice, for nothing.
 */
export const UNPACK = `
set -eu
part="$1/$2/.$3.part"
mkdir -p "$1/$2"
rm -rf "$part"
mkdir "$part" "$part/files"
hash=
drop() {
  [ -z "$hash" ] || kill "$hash" 2>/dev/null || :
  rm -rf "$part"
}
trap drop EXIT
# When the connection breaks, that must not end us before the half of it is taken away.
trap '' HUP
mkfifo "$part/bytes"
sha256sum <"$part/bytes" >"$part/sum" &
hash=$!
# tar stops where its archive ends; what may follow belongs to the hash, too.
tee "$part/bytes" | "$4" -dc | { tar -xo -f - -C "$part/files" && cat >/dev/null; }
wait "$hash"
hash=
case $(cat "$part/sum") in
"$5 "*) ;;
*) echo 'what arrived is not what was sent; it was thrown away' >&2; exit 1 ;;
esac
[ -d "$1/$2/$3" ] || mv "$part/files" "$1/$2/$3"
`;
