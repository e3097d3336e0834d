import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Timer } from '../contracts/clock.ts';
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
cerebro_run=$1 cerebro_marker=$2 cerebro_procs=$3 cerebro_dir=$4 cerebro_shell=$5 cerebro_command=$6
shift 6
trap : HUP INT QUIT TERM USR1 USR2
read -r cerebro_stat </proc/self/stat
echo "$cerebro_stat" >"$cerebro_run/shim"
(
  trap - HUP INT QUIT TERM USR1 USR2
  read -r cerebro_stat </proc/self/stat
  if [ -n "$cerebro_procs" ]; then echo 0 >"$cerebro_procs" || exit 125; fi
  echo "$cerebro_stat" >"$cerebro_run/child" || exit 125
  cd "$cerebro_dir" || { echo "cerebro: cannot enter $cerebro_dir" >&2; exit 126; }
  CEREBRO_RUN=$cerebro_marker
  export CEREBRO_RUN
  exec setsid "$@" "$cerebro_shell" -c "$cerebro_command"
) >&3 2>&4 3>&- 4>&-
echo "$?" >"$cerebro_run/exit"
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

/** Shells that wait for an order; a restart then does not wait for a fork of the whole daemon, which is milliseconds. */
const SPARES = 4;
/** Variables that mean something to the shell itself: a spare that exported them would behave otherwise, or refuse. */
const SHELL_OWN = /^(IFS|OPTIND|OPTARG|PPID|PWD|OLDPWD|PS[124]|LINENO|ENV|_)$/;
/** Spares are replaced a little later: first comes the run that took one. */
const REFILL_MS = 50;

/**
 * Starts shims, and keeps some in hand. A spare is a /bin/sh that reads its one order from standard input; it ends by itself
 * when that is closed, so none is left behind by a daemon that dies.
 */
export class Shims {
  readonly #folder: string;
  readonly #env: Record<string, string>;
  readonly #clock: Clock;
  readonly #wanted: number;
  readonly #spares: ChildProcess[] = [];
  #script = '';
  #refill: Timer | null = null;
  #stopped = true;

  /** `env` is the environment of the spares; a task's own comes with its order. */
  constructor(options: { folder: string; env: Record<string, string>; clock: Clock; spares?: number }) {
    this.#folder = options.folder;
    this.#env = options.env;
    this.#clock = options.clock;
    this.#wanted = options.spares ?? SPARES;
  }

  /** Puts the script into the folder, where running shims of an older one are not disturbed by it. */
  start(): void {
    this.#stopped = false;
    const path = join(this.#folder, 'shim.sh');
    if (!existsSync(path) || readFileSync(path, 'utf8') !== SCRIPT) {
      writeFileSync(`${path}.new`, SCRIPT, { mode: 0o755 });
      renameSync(`${path}.new`, path);
    }
    this.#script = path;
    this.#fillSoon();
  }

  stop(): void {
    this.#stopped = true;
    this.#refill?.cancel();
    this.#refill = null;
    for (const spare of this.#spares.splice(0)) spare.stdin?.destroy();
  }

  /** Starts a run under a shim in a session of its own. Throws when the system cannot. */
  begin(command: ShimCommand): ChildProcess {
    const ownStream = typeof command.stdout === 'number' || typeof command.stderr === 'number';
    const needsFork = ownStream || Object.keys(command.env).some((name) => SHELL_OWN.test(name));
    const spare = needsFork ? undefined : this.#take();
    return spare ? order(spare, this.#script, command) : fork(this.#script, command);
  }

  #take(): ChildProcess | undefined {
    this.#fillSoon();
    for (let spare = this.#spares.shift(); spare; spare = this.#spares.shift()) {
      if (spare.exitCode === null && spare.signalCode === null && spare.stdin?.writable) return spare;
    }
    return undefined;
  }

  #fillSoon(): void {
    if (this.#stopped || this.#wanted === 0) return;
    this.#refill ??= this.#clock.timer(REFILL_MS, () => {
      this.#refill = null;
      if (this.#spares.length < this.#wanted) this.#spares.push(spareShell(this.#env));
      if (this.#spares.length < this.#wanted) this.#fillSoon();
    });
  }
}

function spareShell(env: Record<string, string>): ChildProcess {
  // "-s NAME" gives it a name in process lists; it reads its commands from standard input all the same.
  const spare = spawn('/bin/sh', ['-s', 'cerebro-spare-shim'], {
    detached: true,
    cwd: '/',
    env,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  spare.once('error', () => undefined); // it has no pid then, and is passed over when it is taken
  spare.stdin?.on('error', () => undefined);
  spare.unref();
  return spare;
}

/** Gives a spare its order. Everything in it is quoted by us: to a shell, nothing in single quotes means anything. */
function order(spare: ChildProcess, script: string, command: ShimCommand): ChildProcess {
  const { stdout, stderr } = command;
  for (const path of [stdout, stderr]) if (typeof path === 'string') closeSync(openSync(path, 'a', 0o640)); // what is wrong with it is told here
  const environment = Object.entries(command.env).map(([name, value]) => `export ${name}=${quote(value)}`);
  const logs = `exec 3>>${quote(String(stdout))} 4>>${quote(String(stderr))}`;
  const run = `set -- ${argumentsOf(command).map(quote).join(' ')}; . ${quote(script)}`;
  spare.stdin?.end(`{ ${[logs, ...environment, run].join('; ')}; } </dev/null\n`);
  return spare;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function argumentsOf({ runFolder, marker, cgroupProcs, cwd, command, become }: ShimCommand): string[] {
  return [runFolder, marker, cgroupProcs ?? '', cwd, shellPath(), command, ...become];
}

function fork(script: string, command: ShimCommand): ChildProcess {
  const opened: number[] = [];
  const logOf = (place: string | 1 | 2): number => {
    if (typeof place === 'number') return place;
    const fd = openSync(place, 'a', 0o640);
    opened.push(fd);
    return fd;
  };
  try {
    const stdio = ['ignore', 'ignore', 'ignore', logOf(command.stdout), logOf(command.stderr)] as const;
    return spawn('/bin/sh', [script, ...argumentsOf(command)], {
      detached: true,
      cwd: '/',
      env: command.env,
      stdio: [...stdio],
    });
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
