import { KILL_MARKED } from './kill-marked.ts';

/** What is run on a target, each by /bin/sh or by the Node that was brought there. Arguments come as "$1", "$2" …, never in the text. */

/** Whether a process of ours, by pid file: its working folder is ours. */
export const IS_OURS = `
ours() { # FILE: prints the pid in it, if that is a process of ours that lives
  pid=$(cat "$folder/$1" 2>/dev/null) || return 1
  [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$folder" ] && echo "$pid"
}`;

/**
 * Whose the units of a machine sitter are: the host has one set of them, and their names do not say it, but their data folder does.
 * Both ways to read the text, since an answer that failed must not pass for no unit.
 */
export const UNIT = `
unit() { # prints ours or other; nothing where there is none
  text=$(systemctl cat cerebro-machine.service 2>/dev/null || cat /etc/systemd/system/cerebro-machine.service 2>/dev/null)
  [ -n "$text" ] || return 0
  case "$(printf '%s' "$text" | grep '^ExecStart=') " in
  *" --data-dir $(printf '%s' "$folder/data" | tr -s /) "*) echo ours ;;
  *) echo other ;;
  esac
}`;

/** FOLDER PORT: facts as KEY=VALUE lines. Changes nothing. */
export const PROBE = `
case $1 in /*) folder=$1 ;; *) folder=$(pwd -P)/$1 ;; esac
port=$2
${IS_OURS}
${UNIT}
property() { [ "$unit" = ours ] && systemctl show --property="$1" --value cerebro-machine.service 2>/dev/null; }
unit=$(unit)
say() { printf '%s=%s\\n' "$1" "$2"; }
say folder "$folder"
say system "$(uname -s)"
say machine "$(uname -m)"
say uid "$(id -u)"
say time "$(date +%s)"
[ -x /bin/bash ] && say bash yes
for tool in tar gzip sha256sum tee mkfifo; do command -v "$tool" >/dev/null 2>&1 || say missing "$tool"; done
command -v zstd >/dev/null 2>&1 && say zstd yes
[ -d /run/systemd/system ] && [ -f /sys/fs/cgroup/cgroup.controllers ] && say systemd yes
parent=$folder
while [ ! -e "$parent" ]; do parent=$(dirname "$parent"); done
say parent "$parent"
[ -w "$parent" ] && say writable yes
df -Pk "$parent" 2>/dev/null | { read -r _; read -r _ _ _ free _; say free_kb "$free"; }
for path in "$folder"/programs/* "$folder"/runtimes/*; do [ -d "$path" ] && say has "\${path##*/}"; done
say unit "$unit"
say deployed "$(cat "$folder/deployed" 2>/dev/null)"
say sitter "$(ours sitter.pid || { property MainPID | grep -v '^0$'; })"
say ends "$(wc -c <"$folder/ends" 2>/dev/null || property NRestarts)"
say sitter_port "$(cat "$folder/port" 2>/dev/null)"
hex=$(printf '%04X' "$port")
# A listener, or an outgoing connection that was given this very port: while it lasts nobody can listen there.
grep -Eqs "^ *[0-9]+: [0-9A-F]+:$hex [0-9A-F]+:[0-9A-F]+ (0A|01|02) " /proc/net/tcp /proc/net/tcp6 && say listening yes
# What is public of it: the strings as they stand in the JSON, each on a line.
for key in authority certificate; do
  say "$key" "$(sed -n 's/.*"'$key'": *"\\([^"]*\\)".*/\\1/p' "$folder/data/identity.json" 2>/dev/null)"
done
exit 0
`;

/** FOLDER: what is to end does not come back by itself. Another's units are left alone. */
export const STAY_DOWN_SYSTEMD = `
set -eu
folder=$1
${UNIT}
[ "$(unit)" != other ] || exit 0
systemctl disable --quiet cerebro-machine.service cerebro-tasks.service 2>/dev/null || true
mkdir -p /run/systemd/system/cerebro-machine.service.d
printf '[Service]\\nRestart=no\\n' >/run/systemd/system/cerebro-machine.service.d/stay-down.conf
systemctl daemon-reload
`;

/** FOLDER: ends the sitter and its tasks, and removes their units. Another's are left alone. */
export const REMOVE_SYSTEMD = `
folder=$1
${UNIT}
[ "$(unit)" != other ] || exit 0
systemctl stop cerebro-machine.service cerebro-tasks.service 2>/dev/null
for unit in cerebro-machine.service cerebro-tasks.service; do
  case $(systemctl show --property=ActiveState --value "$unit" 2>/dev/null) in
  active | activating | deactivating | reloading) echo "systemd could not stop $unit" >&2; exit 1 ;;
  esac
done
rm -rf /run/systemd/system/cerebro-machine.service.d
rm -f /etc/systemd/system/cerebro-machine.service /etc/systemd/system/cerebro-tasks.service
systemctl daemon-reload
`;

/** FOLDER: the last words of the sitter, for people who wonder why it does not answer. */
export const LAST_WORDS = `
if [ -s "$1/sitter.log" ]; then tail -n 3 "$1/sitter.log"
else journalctl --no-pager -o cat -n 3 -u cerebro-machine.service 2>/dev/null; fi
exit 0
`;

/**
 * FOLDER: what is left of a plain sitter when it did not end its tasks, or there was none to do it: its keeper and itself, and then
 * every process of the runs that have not ended, by their markers.
 */
export const END_PLAIN = `
set -u
folder=$1
cd "$folder" || exit 1
: >stopped 2>/dev/null
${IS_OURS}
for file in keeper.pid sitter.pid; do
  pid=$(ours "$file") && kill -KILL "$pid" 2>/dev/null
done
for file in data/tasks/*/runs/*/run.json; do
  [ -e "\${file%run.json}end.json" ] && continue
  mark=$(sed -n 's/.*"marker": *"\\([^"]*\\)".*/CEREBRO_RUN=\\1/p' "$file" 2>/dev/null)
  [ -n "$mark" ] || continue
${KILL_MARKED}
done
`;

/**
 * FOLDER SECONDS, for Node: ends the tasks in order and the sitter, and waits until it is gone. One that is just starting is waited for;
 * one that takes no order for so many seconds is given up.
 */
export const SUSPEND = `
import { readFileSync, writeFileSync } from 'node:fs';
const data = process.argv[2] + '/data';
/** Its pid, if it lives. */
const sitter = () => {
  try {
    const { pid } = JSON.parse(readFileSync(data + '/sitter.json', 'utf8'));
    return !readFileSync('/proc/' + pid + '/stat', 'latin1').includes(') Z ') && pid;
  } catch {
    return undefined;
  }
};
const suspend = async () => {
  try {
    const { url } = JSON.parse(readFileSync(data + '/sitter.json', 'utf8'));
    const authorization = 'Bearer ' + readFileSync(data + '/admin.token', 'utf8').trim();
    if (sitter() === undefined) return false;
    // One that hangs would keep us as long as tasks may take to end.
    await fetch(url + '/healthz', { signal: AbortSignal.timeout(5000) });
    writeFileSync(process.argv[2] + '/stopped', ''); // its keeper leaves it at that then
    return (await fetch(url + '/api/v1/suspend', { method: 'POST', headers: { authorization } })).ok;
  } catch {
    return false; // it does not listen yet
  }
};
const patienceMs = Number(process.argv[3]) * 1000;
const until = async (condition) => {
  const begin = performance.now();
  while (performance.now() - begin < patienceMs) {
    if (await condition()) return true;
    await new Promise((wait) => setTimeout(wait, 50));
  }
  console.error('the machine sitter does not take the order to end its tasks');
  process.exitCode = 1;
  return false;
};
if (await until(suspend)) await until(() => sitter() === undefined);
`;
