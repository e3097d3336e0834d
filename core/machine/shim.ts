import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import type { Clock, Timer } from '../contracts/clock.ts';
import type { ProcessId, ProcessTable } from '../contracts/process-table.ts';
import { CerebroError } from '../errors.ts';
import { SHELL_OWN } from '../model/task-configuration.ts';

/**
 * The shim: a small shell that stands between the daemon and one run of a task, so that the task lives on when the daemon
 * does not, and its exit status is known all the same.
 *
 * It has a child, which will be the task: leader of a session of its own from the first, and until it is told what to run, a
 * shell that waits for its order on standard input. So who the two are is known before the run begins, and what stands between
 * an order and the task is one exec. Both end by themselves when the daemon dies before the order.
 *
 * The exit status (128+n for signal n) is written over the first bytes of a file that the daemon made before: that takes no new
 * block, and so also works on a full disk.
 *
 * Where tasks are to outlive the daemon's own service, it moves to a group outside of that first (see shim-group.ts).
 * The task's side runs in a foreground subshell: `cmd & wait` would leave SIGINT and SIGQUIT ignored in it for ever.
 * The shim's own output is /dev/null: a shell remarks on killed children there. The daemon's, where a task writes to it, is 5 and 6.
 */
const SCRIPT = `#!/bin/sh
# 0: the order for the task. 3: where its exit status is to go. 4: who it is.
trap : HUP INT QUIT TERM USR1 USR2
[ -z "$CEREBRO_SHIM_GROUP" ] || echo 0 >"$CEREBRO_SHIM_GROUP/cgroup.procs" || exit 125
unset CEREBRO_SHIM_GROUP
( trap - HUP INT QUIT TERM USR1 USR2; exec setsid /bin/sh -s cerebro-task 3<&- )
status=$?
exec 4>&-
IFS= read -r folder <&3 || exit 0
echo "$status" 1<>"$folder/exit"
exit "$status"
`;

/** Its name in the data folder, by which shims are known in the list of processes. */
export const SHIM_SCRIPT = 'shim.sh';

/** What the task's side does first: it says its /proc/self/stat. The pid stays the same through every exec. */
const HELLO = 'read -r stat </proc/self/stat; echo "$stat" >&4; exec 4>&-\n';

/** What is in the exit file until there is an exit status: as long as any that may come, and blank. */
export const NO_STATUS = '   \n';

/** The daemon's own standard output or error, as the place of a log. */
export const OWN_STREAM = '-';

export interface ShimOrder {
  runFolder: string;
  marker: string;
  cgroupProcs: string | null;
  cwd: string;
  command: string;
  /** Program and arguments that become another user before the command, e.g. setpriv; empty: stay who we are. */
  become: readonly string[];
  env: Record<string, string>;
  /** A file to append to; OWN_STREAM where the shims were made with `ownStreams`. */
  stdout: string;
  stderr: string;
}

/** Shells that wait for an order; a restart then does not wait for a fork of the whole daemon, which is milliseconds. */
const SPARES = 4;
/** Spares are replaced a little later: first comes the run that took one. */
const REFILL_MS = 50;
/** A host where a shell takes longer than this to say its first word cannot start tasks either. */
const HELLO_DEADLINE_MS = 30_000;

export interface ShimsOptions {
  /** Where the script is put; a path without a line break. */
  folder: string;
  /** The environment of the shims; a task's own comes with its order. */
  env: Record<string, string>;
  clock: Clock;
  processes: ProcessTable;
  /** The OOM score that tasks are to have, where it is not the daemon's own; asked for when a run begins. */
  oomScore?: () => number | null;
  /** How many are kept in hand. */
  spares?: number;
  /** Whether tasks may write to the daemon's own standard output and error. */
  ownStreams?: boolean;
}

/** Starts shims, and keeps some in hand. */
export class Shims {
  readonly #options: ShimsOptions;
  readonly #script: string;
  readonly #spares: Promise<Shim>[] = [];
  #refill: Timer | null = null;
  #stopped = true;
  #turn: Promise<void> = Promise.resolve();

  constructor(options: ShimsOptions) {
    if (options.folder.includes('\n'))
      throw new CerebroError(
        'invalid',
        `the data folder ${JSON.stringify(options.folder)} has a line break in its name`,
      );
    this.#options = options;
    this.#script = join(options.folder, SHIM_SCRIPT);
  }

  /** Puts the script into the folder, where running shims of an older one are not disturbed by it. */
  start(): void {
    this.#stopped = false;
    if (!existsSync(this.#script) || readFileSync(this.#script, 'utf8') !== SCRIPT) {
      writeFileSync(`${this.#script}.new`, SCRIPT, { mode: 0o755 });
      renameSync(`${this.#script}.new`, this.#script);
    }
    this.#fillSoon();
  }

  stop(): void {
    this.#stopped = true;
    this.#refill?.cancel();
    this.#refill = null;
    for (const spare of this.#spares.splice(0)) spare.then((shim) => shim.discard()).catch(() => undefined); // it is gone already
  }

  /** The OOM score that whatever is started for a task is to have; null: it inherits the right one. */
  get oomScore(): number | null {
    return this.#options.oomScore?.() ?? null;
  }

  /** A shim that waits for its order. Throws `unavailable` when the system cannot start one. */
  async take(): Promise<Shim> {
    this.#fillSoon();
    for (let spare = this.#spares.shift(); spare; spare = this.#spares.shift()) {
      const shim = await spare.catch(() => null); // one that came to nothing is passed over
      if (shim?.waits) return shim;
    }
    return this.#spawn();
  }

  #fillSoon(): void {
    const wanted = this.#options.spares ?? SPARES;
    if (this.#stopped || wanted === 0) return;
    this.#refill ??= this.#options.clock.timer(REFILL_MS, () => {
      this.#refill = null;
      if (this.#spares.length < wanted) {
        const spare = this.#spawn();
        spare.catch(() => undefined); // it is told to who takes it
        this.#spares.push(spare);
      }
      if (this.#spares.length < wanted) this.#fillSoon();
    });
  }

  /** A fork stops everything else here for milliseconds: there is one in each turn of the loop, so that requests get in between. */
  #turnToFork(): Promise<void> {
    this.#turn = this.#turn.then(() => new Promise((resolve) => setImmediate(resolve)));
    return this.#turn;
  }

  async #spawn(): Promise<Shim> {
    await this.#turnToFork();
    const { env, ownStreams, clock, processes } = this.#options;
    const own = ownStreams ? ([1, 2] as const) : (['ignore', 'ignore'] as const);
    const shell = spawn('/bin/sh', [this.#script], {
      detached: true,
      cwd: '/',
      env,
      stdio: ['pipe', 'ignore', 'ignore', 'pipe', 'pipe', ...own],
    });
    shell.unref();
    const stat = await helloOf(shell, clock);
    const leader = processes.parse(stat);
    const self = shell.pid === undefined ? undefined : processes.read(shell.pid);
    if (!leader || !self) throw new CerebroError('unavailable', 'the shim of a task ended before it began');
    return new Shim(
      shell,
      { pid: self.pid, startTime: self.startTime },
      { pid: leader.pid, startTime: leader.startTime },
      this.oomScore,
    );
  }
}

/** The first line that the task's side says. */
function helloOf(shell: ChildProcess, clock: Clock): Promise<string> {
  const hello = shell.stdio[4];
  return new Promise((resolve, reject) => {
    let text = '';
    const settle = (failed: string | null): void => {
      deadline.cancel();
      hello?.destroy();
      if (failed === null) resolve(text);
      else reject(new CerebroError('unavailable', `the shim of a task could not be started: ${failed}`));
    };
    const deadline = clock.timer(HELLO_DEADLINE_MS, () => {
      shell.kill('SIGKILL');
      settle('it said nothing');
    });
    shell.once('error', (error) => settle(error.message));
    hello?.once('error', (error) => settle(error.message));
    hello?.once('close', () => settle('its task’s side ended (is setsid, of util-linux, installed?)'));
    hello?.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      if (text.endsWith('\n')) settle(null);
    });
    for (const pipe of [shell.stdio[0], shell.stdio[3]]) pipe?.on('error', () => undefined); // whoever writes sees that it is gone
    shell.stdin?.write(HELLO);
  });
}

/** How a shim ended: its task's exit status, or null where it was killed itself. */
export type ShimEnd = (status: number | null) => void;

/** A shim with its task's side, before and after its order. */
export class Shim implements ProcessId {
  readonly pid: number;
  readonly startTime: number;
  /** What will be the task. */
  readonly leader: ProcessId;
  readonly #shell: ChildProcess;
  readonly #oomScore: number | null;

  constructor(shell: ChildProcess, self: ProcessId, leader: ProcessId, oomScore: number | null) {
    this.#shell = shell;
    this.#oomScore = oomScore;
    this.pid = self.pid;
    this.startTime = self.startTime;
    this.leader = leader;
  }

  /** Whether it can still take an order. */
  get waits(): boolean {
    return this.#shell.exitCode === null && this.#shell.signalCode === null && this.#shell.stdin?.writable === true;
  }

  /** Starts the run. Throws what the system says when a log cannot be opened. */
  begin(order: ShimOrder, onEnd: ShimEnd): void {
    for (const path of [order.stdout, order.stderr]) if (path !== OWN_STREAM) closeSync(openSync(path, 'a', 0o640)); // what is wrong with it is told here
    this.#shell.once('exit', (code, signal) => onEnd(signal === null ? code : null));
    if (!this.waits) {
      onEnd(null);
      return;
    }
    // The task first: a daemon that dies between the two leaves a task without an exit status, and not the status of no task.
    this.#shell.stdin?.end(`${sentence(order, this.#oomScore)}\n`);
    (this.#shell.stdio[3] as Writable).end(`${order.runFolder}\n`);
  }

  discard(): void {
    this.#shell.stdin?.destroy();
    this.#shell.stdio[3]?.destroy();
  }
}

/** The order as the task's side reads it: one command, parsed whole. Everything in it is quoted by us: in single quotes nothing means anything. */
function sentence(order: ShimOrder, oomScore: number | null): string {
  const { stdout, stderr, cgroupProcs, cwd, become, command, marker } = order;
  const variables = Object.entries({ ...order.env, CEREBRO_RUN: marker });
  const exported = variables
    .filter(([name]) => !SHELL_OWN.test(name))
    .map(([name, value]) => `export ${name}=${quote(value)}`);
  const odd = variables.filter(([name]) => SHELL_OWN.test(name)).map(([name, value]) => `${name}=${value}`);
  const argv = [...become, ...(odd.length > 0 ? ['env', ...odd] : []), shellPath(), '-c', command];
  const steps = [
    `exec ${log(1, stdout)} ${log(2, stderr)} </dev/null 5>&- 6>&-`,
    ...(cgroupProcs === null
      ? []
      : [`echo 0 >${quote(cgroupProcs)} || { echo "cerebro: cannot enter its cgroup" >&2; exit 125; }`]),
    ...(oomScore === null ? [] : [`echo ${oomScore} >/proc/self/oom_score_adj`]),
    `cd ${quote(cwd)} || { echo ${quote(`cerebro: cannot enter ${cwd}`)} >&2; exit 126; }`,
    ...exported,
    `exec ${argv.map(quote).join(' ')}`,
  ];
  return `{ ${steps.join('; ')}; }`;
}

function log(fd: 1 | 2, place: string): string {
  return place === OWN_STREAM ? `${fd}>&${fd + 4}` : `${fd}>>${quote(place)}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

let shell: string | undefined;

/** /bin/bash, or /bin/sh where there is no bash. */
export function shellPath(): string {
  shell ??= existsSync('/bin/bash') ? '/bin/bash' : '/bin/sh';
  return shell;
}

/** The exit status that the shim wrote into a run's folder; undefined while there is none. */
export function readExitFile(path: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch {
    return undefined; // the run never came to life
  }
  const [line = ''] = text.split('\n');
  return /^\d+$/.test(line) && text.includes('\n') ? Number(line) : undefined;
}
