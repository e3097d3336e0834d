import { randomBytes } from 'node:crypto';
import { IS_OURS, UNIT } from './target-scripts.ts';

/** The code of an end because of a Node that does not run there. */
export const BROKEN_RUNTIME = 77;

/** PROGRAM RUNTIME PORT, in the folder: puts them in force, and forgets all but the programs of now and before. */
const SWITCH = `
before=$(readlink current || true)
ln -sfn "programs/$1" current
ln -sfn "runtimes/$2" runtime
echo "$3" >port
for path in programs/* runtimes/*; do
  case $path in "programs/$1" | "runtimes/$2" | "$before") ;; *) rm -rf "$path" ;; esac
done
runtime/bin/node --version >/dev/null || exit ${BROKEN_RUNTIME}
`;

/** FOLDER: starts the sitter under its keeper, or has the keeper start it again. */
export const START_PLAIN = `
folder=$1
cd "$folder" || exit 1
rm -f stopped
${IS_OURS}
if ours keeper.pid >/dev/null; then
  pid=$(ours sitter.pid)
  : >ends
  [ -n "$pid" ] || exit 0
  kill -TERM "$pid"
  # Whoever asks the port from here on is answered by the next one, or not at all.
  tries=0
  while [ "$(ours sitter.pid)" = "$pid" ] && [ $tries -lt 300 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
  exit 0
fi
: >ends
unset SSH_CLIENT SSH_CONNECTION SSH_TTY SSH_ORIGINAL_COMMAND SSH_AUTH_SOCK
if command -v setsid >/dev/null 2>&1; then setsid ./keep-sitter </dev/null >>sitter.log 2>&1 &
else nohup ./keep-sitter </dev/null >>sitter.log 2>&1 & fi
`;

/** FOLDER: writes the units that the program itself knows, and (re)starts the sitter by them; the unit of the tasks stays as it is. */
export const START_SYSTEMD = `
set -eu
folder=$1
${UNIT}
if [ "$(unit)" = other ]; then
  echo 'the units cerebro-machine.service and cerebro-tasks.service there are those of another machine sitter; remove it first' >&2
  exit 1
fi
cd "$1"
runtime/bin/node current/dist/core/main.js --mode machine --settings "$1/cerebro.yaml" --data-dir "$1/data" install-service </dev/null
systemctl daemon-reload
systemctl enable --quiet cerebro-tasks.service cerebro-machine.service
systemctl restart cerebro-machine.service
`;

/**
 * The plain daemon: keeps the sitter running where there is no systemd. It ends when the file `stopped` is there (or everything is gone), and
 * starts what `current` and `runtime` name by then, so an upgrade is a new link and an end of the sitter. Tasks are not touched by either.
 */
export const KEEPER = `#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo $$ >keeper.pid
while [ -e cerebro.yaml ] && [ ! -e stopped ]; do
  # Its size is bounded by the sitter's few words, and by this.
  [ "$(wc -c <sitter.log)" -gt 10000000 ] && cp sitter.log sitter.log.1 && : >sitter.log
  runtime/bin/node current/dist/core/main.js --mode machine --settings cerebro.yaml >>sitter.log 2>&1 &
  echo $! >sitter.pid
  wait $!
  printf . >>ends
  [ -e stopped ] || sleep 1
done
rm -f keeper.pid sitter.pid
`;

/** What is put in force on a target; the files' names are in the sitter's folder. */
export interface InForce {
  /** Absolute. */
  folder: string;
  program: string;
  runtime: string;
  port: number;
  systemd: boolean;
  identity: { file: string; text: string };
  settings: string;
  /** The fingerprint of it all. */
  deployed: string;
}

/**
 * One script for all that is to be done once program and runtime are there: certificate, settings, service, links and the start of the
 * sitter. Each further command over SSH costs a target as much as the whole of this. It goes over standard input, with the key that is
 * in it. Nothing counts as deployed from its first change to its last: who comes after a crash in between does it again.
 */
export function putInForce(wanted: InForce): { script: string; args: string[] } {
  const { folder, program, runtime, port, systemd, identity, settings, deployed } = wanted;
  const script = [
    PUT,
    'cd "$1"',
    '[ -d data ] || mkdir -m 700 data',
    put(identity.file, 0o600, identity.text),
    'rm -f deployed',
    put('cerebro.yaml', 0o600, settings),
    systemd ? '' : put('keep-sitter', 0o755, KEEPER),
    `( set -- "$2" "$3" "$4"\n${SWITCH})`,
    `( set -- "$1"\nset +eu\n${systemd ? START_SYSTEMD : START_PLAIN})`,
    put('deployed', 0o644, deployed),
  ];
  return { script: script.join('\n'), args: [folder, program, runtime, String(port)] };
}

const PUT = `
set -eu
put() { # FILE MODE: standard input, which is there whole or not at all
  (umask 077; cat >"$1.part")
  chmod "$2" "$1.part"
  mv -f "$1.part" "$1"
}`;

/** Lines that write a text into a file, whatever the text holds: its end is marked by what nobody can have known. */
function put(file: string, mode: number, text: string): string {
  const mark = `end-${randomBytes(12).toString('hex')}`;
  return `put ${file} ${mode.toString(8)} <<'${mark}'\n${text.replace(/\n$/, '')}\n${mark}`;
}
