import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { Clock } from '../../core/contracts/clock.ts';
import {
  type Breach,
  type Enclosure,
  type LimitEnforcer,
  type Limits,
  RUN_MARKER,
  type RunIdentity,
  type Warning,
} from '../../core/contracts/limit-enforcer.ts';
import type { Assertions, Suite } from './suite.ts';

/** Makes the enforcer that is looked at, not started; with a clock of the suite's where it needs one. */
export type MakeEnforcer = (clock?: Clock) => LimitEnforcer;

export const MB = 1024 * 1024;
export const NO_LIMITS: Limits = {
  cpu: null,
  onCpu: 'throttle',
  memBytes: null,
  memWarnBytes: null,
  swap: false,
  pids: null,
  io: [],
  pollInterval: 0.05,
  measure: true,
};

/** A run as the shim starts it: marked, leader of its own session, inside what the enclosure's entry names. */
export interface EnclosedRun {
  enforcer: LimitEnforcer;
  enclosure: Enclosure;
  leader: ChildProcess;
  pid: number;
  marker: string;
  breaches: Breach[];
  warnings: Warning[];
}

/** A case with a run of `command` under `limits`, which is ended afterwards whatever became of it. */
export function runCase(
  make: MakeEnforcer,
  name: string,
  command: string,
  limits: Partial<Limits>,
  body: (t: Assertions, run: EnclosedRun) => Promise<void>,
): Suite[number] {
  return {
    name,
    run: async (t) => {
      const enforcer = make();
      await enforcer.start();
      const run = await begin(enforcer, command, { ...NO_LIMITS, ...limits });
      try {
        await body(t, run);
      } finally {
        await run.enclosure.kill(10_000);
        await run.enclosure.release();
        await enforcer.stop();
      }
    },
  };
}

/** A shell command that takes up so many MB and keeps them. */
export function hog(megabytes: number): string {
  return `${process.execPath} --max-old-space-size=16 -e 'const b = Buffer.alloc(${megabytes} * 1048576, 1); setInterval(() => b[0]++, 1000)'`;
}

async function enclose(
  enforcer: LimitEnforcer,
  identity: RunIdentity,
  limits: Limits,
): Promise<Pick<EnclosedRun, 'enclosure' | 'breaches' | 'warnings'>> {
  const enclosure = await enforcer.enclose(identity, limits);
  const breaches: Breach[] = [];
  const warnings: Warning[] = [];
  enclosure.listen({ onBreach: (breach) => breaches.push(breach), onWarning: (warning) => warnings.push(warning) });
  return { enclosure, breaches, warnings };
}

export async function begin(enforcer: LimitEnforcer, command: string, limits: Limits): Promise<EnclosedRun> {
  const marker = randomUUID();
  const { enclosure, breaches, warnings } = await enclose(enforcer, { marker, task: 'suite' }, limits);
  const { cgroupProcs } = enclosure.entry;
  const enter = cgroupProcs === null ? '' : `echo 0 > '${cgroupProcs}'; `;
  const leader = spawn('/bin/bash', ['-c', `${enter}exec /bin/bash -c "$1"`, 'leader', command], {
    detached: true,
    stdio: 'ignore',
    env: { PATH: process.env.PATH ?? '', [RUN_MARKER]: marker },
  });
  const { pid } = leader;
  if (pid === undefined) throw new Error('the leader could not be started');
  enclosure.attach({ pid, startTime: startTime(pid) });
  return { enforcer, enclosure, leader, pid, marker, breaches, warnings };
}

function stat(pid: number | string): string[] {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return line.slice(line.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

export function startTime(pid: number): number {
  return Number(stat(pid)[19] ?? 0);
}

/** Takes a run up again, as a daemon does after its restart. */
export async function adopt(enforcer: LimitEnforcer, run: EnclosedRun, limits: Limits): Promise<EnclosedRun> {
  const { enclosure: before, leader, pid, marker } = run;
  const adopted = { enforcer: before.enforcer, handle: before.handle };
  const started = startTime(pid);
  const taken = await enclose(enforcer, { marker, task: 'suite', adopted }, limits);
  if (isAlive(pid)) taken.enclosure.attach({ pid, startTime: started });
  return { enforcer, leader, pid, marker, ...taken };
}

/** The pids of processes whose command line ends with `text`; or, with `text` null, of the zombies among the children of `parent`. */
export function stateOf(text: string | null, parent?: number): number[] {
  return readdirProc()
    .filter((pid) => {
      const [state, ppid] = stat(pid);
      if (text === null) return state === 'Z' && Number(ppid) === parent;
      try {
        return state !== 'Z' && readFileSync(`/proc/${pid}/cmdline`, 'latin1').endsWith(text);
      } catch {
        return false; // it has ended
      }
    })
    .map(Number);
}

export function isAlive(pid: number): boolean {
  const [state] = stat(pid);
  return state !== undefined && state !== 'Z';
}

/** The living processes that bear a marker, seen by another way than the enforcer's own. */
export function marked(marker: string): string[] {
  const found: string[] = [];
  for (const pid of readdirProc()) {
    try {
      if (readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`${RUN_MARKER}=${marker}`) && isAlive(Number(pid)))
        found.push(pid);
    } catch {
      // it has ended
    }
  }
  return found;
}

function readdirProc(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}
