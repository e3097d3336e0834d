import type { LimitHolds, LimitName, TaskUsage } from '../model/task.ts';
import type { IoLimit } from '../model/task-configuration.ts';

/** The environment variable that the shim gives every process of a run; its value is the run's marker. */
export const RUN_MARKER = 'CEREBRO_RUN';

export interface Limits {
  /** Cores; null: not limited. */
  cpu: number | null;
  /** What becomes of a run that wants more than `cpu`. throttle where `holds.cpu` is hard; else it is measured only. */
  onCpu: 'throttle' | 'restart' | 'warn';
  memBytes: number | null;
  /** From here on it is warned of; null: it is not. */
  memWarnBytes: number | null;
  /** Whether memory may be moved to swap. */
  swap: boolean;
  /** Processes and threads; null: not limited. */
  pids: number | null;
  io: readonly IoLimit[];
  /** Seconds between samples, for what has to be polled. */
  pollInterval: number;
  /** Whether figures are wanted for people too; limits are held either way. */
  measure: boolean;
}

export interface Breach {
  limit: Exclude<LimitName, 'time'>;
  /** "mem: 1312 of 1200 MB (peak 1320 MB)". */
  sentence: string;
}

/** A run came near a limit, or keeps wanting more than it gets; or (`sentence` is null) does no longer. */
export interface Warning {
  limit: Exclude<LimitName, 'time'>;
  sentence: string | null;
}

/** Who is told of what happens inside an enclosure. Not called any more after `release`. */
export interface EnclosureListener {
  /**
   * At most once for a run, with the limit that was broken. Where the kernel has ended the run already, this is the news of it;
   * else the listener ends it.
   */
  onBreach(breach: Breach): void;
  onWarning(warning: Warning): void;
}

/** What the shim must do to itself before user code runs. */
export interface EnclosureEntry {
  /** A cgroup.procs file into which the task writes itself; null: nothing to enter. */
  cgroupProcs: string | null;
}

/** What a run took. */
export interface RunAccount {
  peakMemBytes: number;
  cpuSeconds: number;
  throttledSeconds: number;
  /** Processes that the kernel killed for want of memory. */
  oomKills: number;
}

/** The walls round one run. `release` is idempotent and works after a half start. */
export interface Enclosure {
  /** The enforcer that built it, and how firmly it holds each limit. */
  readonly enforcer: string;
  readonly holds: LimitHolds;
  readonly entry: EnclosureEntry;
  /** What `enclose` needs to find the same walls again after a restart of the daemon; null: the run's marker is enough. */
  readonly handle: string | null;
  /** Says which process leads the run, as soon as it is known; sampling begins. */
  attach(leader: { pid: number; startTime: number }): void;
  listen(listener: EnclosureListener): void;
  /**
   * Asked once, when the run's leader has ended: the breach that ended it, if it was one that has not been reported yet.
   * A kernel's word of a kill may come later than the death.
   */
  causeOfEnd(): Breach | null;
  usage(): TaskUsage | null;
  account(): RunAccount;
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
  /** Set for a run that is taken up again: who enclosed it, and the handle that this gave. */
  adopted?: { enforcer: string; handle: string | null };
}

/**
 * Turns limits into walls. Every implementation passes `test/suites/limit-enforcer-suite.ts`.
 * `enclose` serves a new run and an adopted one alike.
 */
export interface LimitEnforcer {
  readonly name: string;
  /** How firmly each limit is held; shown wherever a limit is. */
  readonly holds: LimitHolds;
  /** Whether it can also take up runs that another enforcer began (which is not there any more). */
  readonly adoptsAny: boolean;
  /** Whether it can work on this host; the sentence says why not, and what to do about it. No side effects. */
  probe(): Promise<{ works: true } | { works: false; sentence: string }>;
  /** Throws `unsupported` with one sentence where it turns out only now that it cannot work. */
  start(): Promise<void>;
  stop(): Promise<void>;
  enclose(run: RunIdentity, limits: Limits): Promise<Enclosure>;
}
