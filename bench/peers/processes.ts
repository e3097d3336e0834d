import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { ProcessInfo } from '../../core/contracts/process-table.ts';
import { ProcTable } from '../../core/machine/proc-table.ts';

/** Everything that a benchmark starts bears the folder of it in its environment: so it is found again, whoever is its parent by then. */
export const FOLDER_MARK = 'CEREBRO_BENCH_FOLDER';
/** How long a supervisor may take to end its tasks in order. PM2 takes them one after another; the rest is killed. */
const POLITE_MS = 5000;
const KILLED_MS = 10_000;

const table = new ProcTable();

/** Not the benchmarks' `pause`, which throws after Ctrl-C: this one is for ending things. */
function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * A daemon of a peer, in a session of its own: a Ctrl-C in the terminal is for the benchmark, which then ends the daemon in order.
 * What it says is thrown away; it ends up as stdout of unlogged tasks as well.
 */
export function spawnDaemon(program: string, args: readonly string[], folder: string): ChildProcess {
  const child = spawn(program, args, {
    env: { ...process.env, [FOLDER_MARK]: folder },
    cwd: folder,
    detached: true,
    stdio: 'ignore',
  });
  // A child that could not be started has no pid, and whoever asks for that says so.
  child.once('error', () => undefined);
  return child;
}

export function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error(`${child.spawnfile} could not be started`);
  return child.pid;
}

/** The processes that have this text in their command line. */
export function running(text: string): number[] {
  return table.pids().filter((pid) => readProc(`/proc/${pid}/cmdline`).includes(text));
}

/** All processes that come from one of these, they themselves not among them. */
export function descendants(pids: readonly number[]): ProcessInfo[] {
  const all = table.scan();
  const found: ProcessInfo[] = [];
  const parents = new Set(pids);
  // A process may have a lower pid than its parent, so it is looked until nobody is added.
  for (let before = -1; before !== found.length; ) {
    before = found.length;
    for (const info of all) {
      if (!parents.has(info.ppid) || parents.has(info.pid)) continue;
      parents.add(info.pid);
      found.push(info);
    }
  }
  return found;
}

/** Its share of the memory, in KB: a page that n processes have in common counts as 1/n of one. 0 when the process is gone. */
export function pssKb(pid: number): number {
  const text = readProc(`/proc/${pid}/smaps_rollup`);
  return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0);
}

/** User and system time that it has used, in clock ticks of 1/100 s. 0 when the process is gone. */
export function cpuTicks(pid: number): number {
  const line = readProc(`/proc/${pid}/stat`);
  // The command in it may hold spaces and brackets, so fields are counted from its last bracket.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
}

function readProc(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

/** Asks the daemon to end, waits for it and everything that was started in its folder, and kills what is left. */
export async function endDaemon(daemon: number, signal: NodeJS.Signals, folder: string): Promise<void> {
  if (marked(folder).includes(daemon)) send(daemon, signal);
  await gone(folder, POLITE_MS);
  // The daemon first, or it would start again what is killed before it.
  if (marked(folder).includes(daemon)) send(daemon, 'SIGKILL');
  await endMarked(folder);
}

/** Kills, by their pids, all processes that were started in the folder, until there is none. */
export async function endMarked(folder: string): Promise<void> {
  const deadline = performance.now() + KILLED_MS;
  for (let left = marked(folder); left.length > 0; left = marked(folder)) {
    if (performance.now() > deadline) throw new Error(`these do not end: ${left.join(', ')}`);
    for (const pid of left) send(pid, 'SIGKILL');
    await wait(20);
  }
}

async function gone(folder: string, deadlineMs: number): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (marked(folder).length > 0 && performance.now() < deadline) await wait(50);
}

/** The living processes that bear the folder. */
function marked(folder: string): number[] {
  return table
    .scan()
    .filter(({ pid, state }) => state !== 'Z' && table.environment(pid, FOLDER_MARK) === folder)
    .map(({ pid }) => pid);
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // ESRCH: it has ended, as it should
  }
}
