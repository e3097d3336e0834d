import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import type { Logger } from '../../contracts/logger.ts';
import { messageOf } from '../../errors.ts';

const OOM_FILE = '/proc/self/oom_score_adj';
/** Far below every task, and above what only the kernel's own helpers have (-1000: never). */
const OWN_OOM_SCORE = -900;

/** Nine times the weight of a task: a sitter works little, and what it does for one task must not wait behind all others. */
export const OWN_NICE = -10;
/** Where sessions are scheduled as groups (sched_autogroup_enabled), niceness counts within one only; this is that of the group. */
const GROUP_FILE = '/proc/self/autogroup';

/** What processes of tasks are to have where they must not inherit the daemon's own; null: they inherit the right one. */
export interface TasksStanding {
  oomScore: number | null;
  nice: number | null;
}

export const SAME_STANDING: TasksStanding = { oomScore: null, nice: null };

/**
 * How the kernel treats the sitter beside its tasks: when memory is short it is to end a task, and when the cpu is short tasks are to wait
 * for their sitter. Both take root (CAP_SYS_RESOURCE, CAP_SYS_NICE). Children inherit them, so whatever is started for a task has to set them back.
 */
export class Standing {
  readonly #logger: Logger;
  #before: TasksStanding = SAME_STANDING;
  /** What the session's group had; null: it was left alone. */
  #group: number | null = null;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  get tasks(): TasksStanding {
    return this.#before;
  }

  start(): void {
    const oomScore = this.#try('OOM score', () => {
      const before = Number(readFileSync(OOM_FILE, 'latin1'));
      if (!Number.isInteger(before) || before <= OWN_OOM_SCORE) return null;
      writeFileSync(OOM_FILE, String(OWN_OOM_SCORE));
      return before;
    });
    const nice = this.#try('niceness', () => {
      const before = getPriority();
      if (before <= OWN_NICE) return null;
      setPriority(OWN_NICE);
      return before;
    });
    this.#before = { oomScore, nice };
    // A terminal's session is not ours alone.
    if (nice !== null && ledSession() === process.pid)
      this.#group = this.#try('niceness of the session', () => swapGroup(OWN_NICE));
  }

  stop(): void {
    const { oomScore, nice } = this.#before;
    const group = this.#group;
    this.#before = SAME_STANDING;
    this.#group = null;
    if (oomScore !== null) this.#try('OOM score', () => writeFileSync(OOM_FILE, String(oomScore)));
    if (group !== null) this.#try('niceness of the session', () => swapGroup(group));
    if (nice !== null) this.#try('niceness', () => setPriority(nice));
  }

  #try<T>(what: string, change: () => T): T | null {
    try {
      return change();
    } catch (error) {
      this.#logger.debug({ reason: messageOf(error) }, `the own ${what} was left as it is; to raise it takes root`);
      return null;
    }
  }
}

/** The session that this process is in, by the pid of its leader. */
function ledSession(): number {
  const [, , , session] = readFileSync('/proc/self/stat', 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ');
  return Number(session);
}

/** Returns what the session's group had, as in `/autogroup-123 nice 0`; null: this kernel has no such groups. */
function swapGroup(nice: number): number | null {
  if (!existsSync(GROUP_FILE)) return null;
  const before = /nice (-?\d+)/.exec(readFileSync(GROUP_FILE, 'latin1'))?.[1];
  writeFileSync(GROUP_FILE, String(nice));
  return before === undefined ? null : Number(before);
}

/** Gives a process that was just started for a task what it is to have. One that has ended already needs nothing. */
export function setStanding(pid: number, { oomScore, nice }: TasksStanding): void {
  try {
    if (nice !== null) setPriority(pid, nice);
    if (oomScore !== null) writeFileSync(`/proc/${pid}/oom_score_adj`, String(oomScore));
  } catch {
    // It has ended.
  }
}
