import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseStat } from './proc-table.ts';

/**
 * The shim: a small shell that stands between the daemon and one run of a task, so that the task lives on when the daemon
 * does not, and its exit status is known all the same. It writes three one-line files into the run's folder, each by one write:
 *
 *   shim   its own /proc/self/stat      (pid and start time)
 *   child  the task's /proc/self/stat   (the pid stays the same through `exec setsid`)
 *   exit   the exit status as a shell has it: 128+n for signal n
 *
 * A reader takes a line only when it ends with a newline, so a torn write counts as none: that is what a temporary file and a
 * rename would give, without a process (`mv`) for each end of a task.
 *
 * The task runs in a foreground subshell: `cmd & wait` would leave SIGINT and SIGQUIT ignored in it for ever.
 * The run's marker is put into the environment of the task, not of the shim, which is no part of what has to end with the task.
 * The shim's own stdout and stderr are /dev/null: a shell remarks on killed children there. The task's are fd 3 and 4.
 */
const SCRIPT = `#!/bin/sh
# argv: run-folder marker cgroup.procs-or-empty working-directory shell command [program that becomes the user, and its arguments]
run=$1 marker=$2 procs=$3 dir=$4 shell=$5 command=$6
shift 6
trap : HUP INT QUIT TERM USR1 USR2
read -r stat </proc/self/stat
echo "$stat" >"$run/shim"
(
  trap - HUP INT QUIT TERM USR1 USR2
  read -r stat </proc/self/stat
  if [ -n "$procs" ]; then echo 0 >"$procs" || exit 125; fi
  echo "$stat" >"$run/child" || exit 125
  cd "$dir" || { echo "cerebro: cannot enter $dir" >&2; exit 126; }
  CEREBRO_RUN=$marker
  export CEREBRO_RUN
  exec setsid "$@" "$shell" -c "$command"
) >&3 2>&4 3>&- 4>&-
echo "$?" >"$run/exit"
`;

export interface ShimCommand {
  runFolder: string;
  marker: string;
  cgroupProcs: string | null;
  cwd: string;
  command: string;
  /** Program and arguments that become another user before the command, e.g. setpriv; empty: stay who we are. */
  become: readonly string[];
  env: Record<string, string>;
  /** A file to append to; or 1 or 2: our own standard output or error, handed on as it is (opened anew, it would have another offset). */
  stdout: string | 1 | 2;
  stderr: string | 1 | 2;
}

/** Puts the shim's script into `folder`, where running shims of an older one are not disturbed by it. Returns its path. */
export function installShim(folder: string): string {
  const path = join(folder, 'shim.sh');
  if (!existsSync(path) || readFileSync(path, 'utf8') !== SCRIPT) {
    writeFileSync(`${path}.new`, SCRIPT, { mode: 0o755 });
    renameSync(`${path}.new`, path);
  }
  return path;
}

/** Starts a run under a shim in a session of its own. Throws when the system cannot. */
export function startShim(script: string, command: ShimCommand): ChildProcess {
  const opened: number[] = [];
  const logOf = (place: string | 1 | 2): number => {
    if (typeof place === 'number') return place;
    const fd = openSync(place, 'a', 0o640);
    opened.push(fd);
    return fd;
  };
  try {
    const { runFolder, marker, cgroupProcs, cwd, become } = command;
    const argv = [script, runFolder, marker, cgroupProcs ?? '', cwd, shellPath(), command.command, ...become];
    const stdio = ['ignore', 'ignore', 'ignore', logOf(command.stdout), logOf(command.stderr)] as const;
    return spawn('/bin/sh', argv, { detached: true, cwd: '/', env: command.env, stdio: [...stdio] });
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

let shell: string | undefined;

/** /bin/bash, or /bin/sh where there is no bash. */
function shellPath(): string {
  shell ??= existsSync('/bin/bash') ? '/bin/bash' : '/bin/sh';
  return shell;
}

export interface ProcessId {
  pid: number;
  startTime: number;
}

/** What `shim` or `child` says; undefined while it is not (wholly) written. */
export function readProcessFile(path: string): ProcessId | undefined {
  const line = readWholeLine(path);
  return line === undefined ? undefined : parseStat(line);
}

/** The exit status that the shim wrote; undefined while there is none. */
export function readExitFile(path: string): number | undefined {
  const line = readWholeLine(path);
  return line === undefined ? undefined : Number(line);
}

function readWholeLine(path: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch {
    return undefined; // not there yet
  }
  return text.endsWith('\n') ? text.slice(0, -1) : undefined;
}
