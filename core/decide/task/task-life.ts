import type { EndReason, LimitName, TaskPhase } from '../../model/task.ts';
import type { Backoff, TaskConfiguration } from '../../model/task-configuration.ts';

/**
 * The life of one task, as a table of what each event does in each phase.
 *
 *            start              spawned             stop
 *   stopped -------> starting -----------> running -------> stopping --ended--> stopped
 *      ^                ^                     |  breach, restart ^
 *      |                | due (timer)         | ended  |_________|
 *      |                |                     v
 *      |             backoff <--- will be started again
 *      |                                      | will not
 *      +----- stop -----------------  exited | failed
 */
export interface TaskLife {
  phase: TaskPhase;
  reason: string;
  /** When the phase began. Milliseconds since the epoch, like every time in here. */
  since: number;
  /** What was last asked for; a task in any phase is started again after a reboot when it says run. */
  wanted: 'run' | 'stop';
  /** The number of the newest run; 0: none yet. */
  run: number;
  startedAt: number | null;
  /** Restarts by the sitter since the last stable uptime, held against max_restarts. */
  restarts: number;
  /** Starts since the last stable uptime, for the growing pause. */
  streak: number;
  /** All restarts of its life, for people. */
  totalRestarts: number;
  nextStartAt: number | null;
  /** Ended because everything here was stopped for a while (`cerebro down`): to be started when the sitter starts again. */
  suspended: boolean;
  /** Why the run is being ended by us, while it is. */
  ending: { reason: EndReason; sentence: string } | null;
}

export type TaskEvent =
  | { kind: 'start'; why: string }
  | { kind: 'stop'; reason: Extract<EndReason, 'user' | 'deploy' | 'leash'>; why: string }
  /** Ends the run and starts another at once; no crash. */
  | { kind: 'restart'; reason: Extract<EndReason, 'user' | 'deploy'>; why: string }
  | { kind: 'suspend'; why: string }
  | { kind: 'spawned' }
  | { kind: 'breach'; limit: LimitName; sentence: string }
  | { kind: 'unhealthy'; sentence: string }
  /**
   * `because` names an end that was no exit of the process: it could not be started, its shim died, the machine rebooted, or
   * the kernel ended it for a limit. `livedMs` is how long it ran, by a clock that nobody sets; null: not known.
   */
  | {
      kind: 'ended';
      code: number | null;
      signal: string | null;
      because?: Extract<EndReason, 'spawn' | 'shim' | 'reboot' | 'cpu' | 'mem' | 'pids'>;
      why?: string;
      livedMs: number | null;
    }
  | { kind: 'due' };

/** `terminate` asks politely and kills after stop_timeout; `kill` does not ask. */
export type TaskEffect = 'spawn' | 'terminate' | 'kill';

export interface TaskStep {
  life: TaskLife;
  effects: TaskEffect[];
  /** Set when this step ended a run: what its post-mortem says. */
  ended?: { reason: EndReason; sentence: string };
}

type Rules = Pick<TaskConfiguration, 'ensure_alive' | 'restart' | 'max_restarts' | 'allow_exit' | 'backoff'>;
type Handler<K extends TaskEvent['kind']> = (
  life: TaskLife,
  event: Extract<TaskEvent, { kind: K }>,
  rules: Rules,
  now: number,
) => TaskStep;
type Row = { [K in TaskEvent['kind']]?: Handler<K> };

export function newTaskLife(now: number): TaskLife {
  return {
    phase: 'stopped',
    reason: 'not started yet',
    since: now,
    wanted: 'stop',
    run: 0,
    startedAt: null,
    restarts: 0,
    streak: 0,
    totalRestarts: 0,
    nextStartAt: null,
    suspended: false,
    ending: null,
  };
}

/** After so many starts without a stable uptime the pause is never less than this, whatever `backoff` says: a task that only spins must not take the machine with it. */
const SPINNING_STARTS = 10;
const LEAST_SPINNING_PAUSE_S = 0.1;

/** Seconds before the start that follows `streak` earlier ones without a stable uptime between. */
export function pauseBefore(streak: number, backoff: Backoff): number {
  if (streak === 0) return backoff.first;
  // factor ** streak is Infinity in the end, and 0 * Infinity is no number.
  const pause = backoff.then === 0 ? 0 : Math.min(backoff.max, backoff.then * backoff.factor ** (streak - 1));
  return streak < SPINNING_STARTS ? pause : Math.max(pause, LEAST_SPINNING_PAUSE_S);
}

/** What `event` does to a task. An event that means nothing in the present phase changes nothing. */
export function stepTask(life: TaskLife, event: TaskEvent, rules: Rules, now: number): TaskStep {
  const handler = TABLE[life.phase][event.kind] as Handler<typeof event.kind> | undefined;
  // The table's type pairs each event with its own handler; indexing by a union loses that pairing.
  return handler ? handler(life, event as never, rules, now) : { life, effects: [] };
}

const begin: Handler<'start'> = (life, event, _rules, now) => ({
  life: {
    ...move(life, 'starting', event.why, now),
    wanted: 'run',
    run: life.run + 1,
    startedAt: now,
    restarts: 0,
    streak: 0,
    nextStartAt: null,
    suspended: false,
    ending: null,
  },
  effects: ['spawn'],
});

const again = (life: TaskLife, reason: string, now: number): TaskLife => ({
  ...move(life, 'starting', reason, now),
  run: life.run + 1,
  startedAt: now,
  nextStartAt: null,
  ending: null,
});

const halt: Handler<'stop'> = (life, event, _rules, now) => ({
  life: { ...move(life, 'stopped', event.why, now), wanted: 'stop', nextStartAt: null },
  effects: [],
});

const terminate = (
  life: TaskLife,
  wanted: TaskLife['wanted'],
  reason: EndReason,
  sentence: string,
  now: number,
): TaskStep => ({
  life: { ...move(life, 'stopping', sentence, now), wanted, ending: { reason, sentence } },
  effects: ['terminate'],
});

const LIMITS: ReadonlySet<EndReason> = new Set(['cpu', 'mem', 'pids', 'time']);
/** What is no end that the task itself came to. */
const ALWAYS_RESTARTS: ReadonlySet<EndReason> = new Set(['reboot', 'shim', 'health']);

const ended: Handler<'ended'> = (life, event, rules, now) => {
  const end = whyEnded(life, event);
  if (life.wanted === 'stop' || life.suspended) {
    return {
      life: { ...move(life, 'stopped', life.ending?.sentence ?? end.sentence, now), ending: null },
      effects: [],
      ended: end,
    };
  }
  if (end.reason === 'user' || end.reason === 'deploy' || end.reason === 'leash')
    return { life: again(life, end.sentence, now), effects: ['spawn'], ended: end };

  const livedMs = event.livedMs ?? (life.startedAt === null ? 0 : now - life.startedAt);
  const stable = livedMs >= rules.backoff.reset_after * 1000;
  const settled: TaskLife = stable ? { ...life, restarts: 0, streak: 0 } : life;
  const wantsRestart =
    rules.ensure_alive || ALWAYS_RESTARTS.has(end.reason) || (LIMITS.has(end.reason) && rules.restart);
  // The machine's fault, or ours, is not held against the task.
  const innocent = end.reason === 'reboot' || end.reason === 'shim';
  const mayRestart = innocent || rules.max_restarts === -1 || settled.restarts < rules.max_restarts;

  if (wantsRestart && mayRestart) {
    const counted = {
      ...settled,
      restarts: settled.restarts + (innocent ? 0 : 1),
      totalRestarts: settled.totalRestarts + 1,
    };
    return { ...startAfterPause(counted, pauseBefore(settled.streak, rules.backoff), end.sentence, now), ended: end };
  }
  if (rules.allow_exit) {
    const fine = end.reason === 'exit' && event.code === 0;
    const spent = wantsRestart ? ` (restarted ${settled.restarts} times, as often as max_restarts allows)` : '';
    return {
      life: {
        ...move(settled, fine ? 'exited' : 'failed', `${end.sentence}${spent}`, now),
        startedAt: null,
        ending: null,
      },
      effects: [],
      ended: end,
    };
  }
  // The task sitter has come to its end; the machine sitter starts it afresh, with longer and longer pauses.
  const pause = Math.max(1, pauseBefore(settled.streak + 1, rules.backoff));
  const fresh = { ...settled, restarts: 0, totalRestarts: settled.totalRestarts + 1 };
  return { ...startAfterPause(fresh, pause, `${end.sentence}; it may not exit`, now), ended: end };
};

function startAfterPause(life: TaskLife, pauseSeconds: number, sentence: string, now: number): TaskStep {
  const next = { ...life, streak: life.streak + 1 };
  if (pauseSeconds === 0) return { life: again(next, `${sentence}; started again at once`, now), effects: ['spawn'] };
  const waiting = move(next, 'backoff', `${sentence}; will be started again in ${pauseSeconds} s`, now);
  return { life: { ...waiting, startedAt: null, nextStartAt: now + pauseSeconds * 1000, ending: null }, effects: [] };
}

function whyEnded(
  life: TaskLife,
  event: Extract<TaskEvent, { kind: 'ended' }>,
): { reason: EndReason; sentence: string } {
  if (life.ending) return life.ending;
  if (event.because) return { reason: event.because, sentence: event.why ?? event.because };
  if (event.signal) return { reason: 'signal', sentence: `ended by ${event.signal}` };
  return {
    reason: 'exit',
    sentence: event.code === null ? 'ended, its exit code is not known' : `exited with code ${event.code}`,
  };
}

function move(life: TaskLife, phase: TaskPhase, reason: string, now: number): TaskLife {
  return { ...life, phase, reason, since: now };
}

const suspend: Handler<'suspend'> = (life, event, _rules, now) =>
  life.wanted === 'run'
    ? { life: { ...move(life, 'stopped', event.why, now), suspended: true, nextStartAt: null }, effects: [] }
    : { life, effects: [] };

const RUNNING: Row = {
  spawned: (life, _event, _rules, now) => ({
    life: life.phase === 'running' ? life : move(life, 'running', 'running', now),
    effects: [],
  }),
  stop: (life, event, _rules, now) => terminate(life, 'stop', event.reason, event.why, now),
  restart: (life, event, _rules, now) => terminate(life, 'run', event.reason, event.why, now),
  suspend: (life, event, _rules, now) => terminate({ ...life, suspended: true }, life.wanted, 'user', event.why, now),
  breach: (life, event, _rules, now) => ({
    ...terminate(life, life.wanted, event.limit, event.sentence, now),
    // What is over its memory or its processes takes more of them while it is asked politely.
    effects: event.limit === 'mem' || event.limit === 'pids' ? ['kill'] : ['terminate'],
  }),
  unhealthy: (life, event, _rules, now) => terminate(life, life.wanted, 'health', event.sentence, now),
  ended,
};

const AT_REST: Row = {
  start: begin,
  restart: (life, event, rules, now) => begin(life, { kind: 'start', why: event.why }, rules, now),
};

const TABLE: Record<TaskPhase, Row> = {
  stopped: AT_REST,
  exited: { ...AT_REST, stop: halt },
  failed: { ...AT_REST, stop: halt },
  backoff: {
    ...AT_REST,
    stop: halt,
    suspend,
    due: (life, _event, _rules, now) => ({ life: again(life, life.reason, now), effects: ['spawn'] }),
  },
  starting: RUNNING,
  running: RUNNING,
  stopping: {
    // Already on its way out: only what comes afterwards can still change.
    // What is to run again anyway keeps the reason of its end: a start must not turn a breach into a wish.
    start: (life, event) =>
      life.wanted === 'run'
        ? { life, effects: [] }
        : { life: { ...life, wanted: 'run', ending: { reason: 'user', sentence: event.why } }, effects: [] },
    restart: (life, event) => ({
      life: { ...life, wanted: 'run', ending: { reason: event.reason, sentence: event.why } },
      effects: [],
    }),
    stop: (life, event) => ({
      life: { ...life, wanted: 'stop', ending: { reason: event.reason, sentence: event.why } },
      effects: [],
    }),
    // What was stopped by hand stays stopped when the machine starts again.
    suspend: (life) => ({ life: life.wanted === 'run' ? { ...life, suspended: true } : life, effects: [] }),
    // It came to life after it was told to end, and has not heard that: it is told again.
    spawned: (life) => ({ life, effects: ['terminate'] }),
    ended,
  },
};
