import type { LimitHolds, TaskUsage } from '../model/task.ts';

/** The environment variable that the shim gives every process of a run; its value is the run's marker. */
export const RUN_MARKER = 'CEREBRO_RUN';

export interface Limits {
  /** Cores; null: not limited. */
  cpu: number | null;
  memBytes: number | null;
  /** Seconds between samples, for what has to be polled. */
  pollInterval: number;
}

export interface Breach {
  limit: 'cpu' | 'mem';
  /** "mem: 1312 of 1200 MB (peak 1320 MB)". */
  sentence: string;
}

/** What the shim must do to itself before user code runs. */
export interface EnclosureEntry {
  /** A cgroup.procs file into which the task writes itself; null: nothing to enter. */
  cgroupProcs: string | null;
}

/** The walls round one run. `release` is idempotent and works after a half start. */
export interface Enclosure {
  readonly entry: EnclosureEntry;
  /** Says which process leads the run, as soon as it is known; sampling begins. */
  attach(leader: { pid: number; startTime: number }): void;
  /** Called at most once per run, with the limit that was broken. */
  onBreach(listener: (breach: Breach) => void): void;
  usage(): TaskUsage | null;
  peakMemBytes(): number;
  cpuSeconds(): number;
  /** Sends a signal to every process of the run. */
  signal(signal: NodeJS.Signals): void;
  /** SIGKILL to every process of the run until none is left. Throws `timeout` after `deadlineMs`. */
  kill(deadlineMs: number): Promise<void>;
  release(): Promise<void>;
}

export interface RunIdentity {
  /** Unique over all runs of this host for ever. */
  marker: string;
  task: string;
}

/**
 * Turns limits into walls. Every implementation passes `test/suites/limit-enforcer-suite.ts`.
 * `enclose` serves a new run and an adopted one alike.
 */
export interface LimitEnforcer {
  readonly name: string;
  /** How firmly each limit is held; shown wherever a limit is. */
  readonly holds: LimitHolds;
  /** Whether it can work on this host; the sentence says why not. No side effects. */
  probe(): Promise<{ works: true } | { works: false; sentence: string }>;
  start(): Promise<void>;
  stop(): Promise<void>;
  enclose(run: RunIdentity, limits: Limits): Promise<Enclosure>;
}
