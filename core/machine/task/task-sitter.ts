import type { Timer } from '../../contracts/clock.ts';
import type { Enclosure, Warning } from '../../contracts/limit-enforcer.ts';
import { newTaskLife, stepTask, type TaskEvent, type TaskLife, type TaskStep } from '../../decide/task/task-life.ts';
import { messageOf } from '../../errors.ts';
import type { NewEvent } from '../../model/event.ts';
import { canonical } from '../../model/job.ts';
import type { LimitHold, RunEnd, TaskDefinition, TaskPhase, TaskStatus } from '../../model/task.ts';
import type { LogKeeper } from '../logs/log-keeper.ts';
import { RunLogs } from '../logs/run-logs.ts';
import type { HeldRun } from '../shim/dead-mans-switch.ts';
import { PostMortems } from './post-mortems.ts';
import { RunHealth } from './run-health.ts';
import { limitsOf, type RunEnding, TaskRun, type TaskRunDeps, type TaskRunHost } from './task-run.ts';

/** So many starts without a stable uptime between, and less than this since the last: it is not to be called ready. */
const FLAPPING_STARTS = 6;
const FLAPPING_MS = 5000;
/** Looking through all processes for what a run left behind takes milliseconds, which the start of the next run is not to wait for. */
const SWEEP_AFTER_MS = 25;

const AT_REST: ReadonlySet<TaskPhase> = new Set(['stopped', 'exited', 'failed']);

/** How a cpu limit is held where it is not left to the enforcer. */
const CPU_HOLDS: Partial<Record<string, LimitHold>> = { restart: 'polled', warn: 'measured' };

export interface TaskSitterDeps extends TaskRunDeps {
  logKeeper: LogKeeper;
  onChange(sitter: TaskSitter): void;
  onEvent(event: NewEvent): void;
}

/**
 * Holds one process to its limits and its lifetime. All decisions are `decide/task-life.ts`; this class carries them out, run
 * after run (`task-run.ts`), keeps the task's state on disk and tells what happened.
 */
export class TaskSitter {
  definition: TaskDefinition;
  revision: number;
  #life: TaskLife;
  #run: TaskRun | null = null;
  readonly #postMortems: PostMortems;
  #backoff: Timer | null = null;
  #killTimer: Timer | null = null;
  #stopSignal: NodeJS.Signals | null = null;
  #health: RunHealth | null = null;
  #logs: RunLogs | null = null;
  /** Limits that the present run comes near to. */
  readonly #warnings = new Map<string, string>();
  /** The walls of the run that ended last, for its post-mortem. */
  #ended: Enclosure | null = null;
  #saveFailed = false;
  #pruning = false;
  #pruneWanted = false;
  /** What happened and was not reported yet. */
  readonly #untold: (() => void)[] = [];
  #stopped = false;
  readonly #deps: TaskSitterDeps;
  readonly #waiters = new Set<() => void>();
  readonly #listeners = new Set<() => void>();
  readonly #work = new Set<Promise<unknown>>();

  constructor(
    deps: TaskSitterDeps,
    definition: TaskDefinition,
    state: { revision: number; life: TaskLife; ends?: RunEnd[] } | null,
  ) {
    this.#deps = deps;
    this.definition = definition;
    this.revision = state?.revision ?? 1;
    this.#life = state?.life ?? newTaskLife(deps.clock.now());
    this.#postMortems = new PostMortems(deps, state?.ends ?? [], this.#life.run);
  }

  get id(): string {
    return this.definition.id;
  }

  get phase(): TaskLife['phase'] {
    return this.#life.phase;
  }

  get life(): Readonly<TaskLife> {
    return this.#life;
  }

  /** Whether this sitter holds the task no more. */
  get letGo(): boolean {
    return this.#stopped;
  }

  /** Whether it reserves room: it runs, or is to run. */
  get takesRoom(): boolean {
    return !AT_REST.has(this.#life.phase) || this.#life.suspended;
  }

  /** The number of the newest run. */
  get run(): number {
    return this.#life.run;
  }

  /** Takes up what was left by an earlier daemon: adopts a living run, learns the end of one that ended, starts what should run. */
  async recover(): Promise<void> {
    const life = this.#life;
    await this.#postMortems.writeAll();
    if (life.phase === 'starting' || life.phase === 'running' || life.phase === 'stopping') {
      // A suspension that was cut short is over now: what ran is to run.
      if (life.suspended) this.#life = { ...life, suspended: false };
      await this.#recoverRun(life.run);
    } else if (life.phase === 'backoff') {
      this.#armBackoff();
    } else if (life.suspended) {
      this.dispatch({ kind: 'start', why: 'the machine was started again' });
    } else if (life.phase === 'stopped' && life.run === 0 && this.definition.configuration.auto_start) {
      this.dispatch({ kind: 'start', why: 'auto_start' });
    }
  }

  dispatch(event: TaskEvent): void {
    if (this.#stopped) return;
    this.#tellAll();
    const before = this.#life;
    const step = stepTask(before, event, this.definition.configuration, this.#deps.clock.now());
    if (step.life === before && step.effects.length === 0) return;
    this.#life = step.life;
    // With the new life, in one write: nobody else knows how that run has ended.
    if (step.ended) this.#postMortems.note(before, step.ended, this.definition, this.#ended);
    this.save();
    this.#carryOut(before, step);
  }

  /**
   * Takes a definition and what is to become of the task, and writes both as one: a daemon that is killed at any moment leaves
   * the whole order or nothing of it. Throws `no_space` or `unavailable` where it cannot be kept; then nothing has changed.
   */
  order(definition: TaskDefinition, event: TaskEvent | null): void {
    if (this.#stopped) return;
    this.#tellAll();
    const before = this.#life;
    const step: TaskStep = event
      ? stepTask(before, event, definition.configuration, this.#deps.clock.now())
      : { life: before, effects: [] };
    const differs = canonical(definition) !== canonical(this.definition);
    const revision = differs ? this.revision + 1 : this.revision;
    this.#deps.files.order({ definition, revision, life: step.life, ends: [...this.#postMortems.unwritten] });
    this.definition = definition;
    this.revision = revision;
    this.#life = step.life;
    this.#carryOut(before, step);
  }

  #carryOut(before: TaskLife, step: TaskStep): void {
    for (const effect of step.effects) {
      if (effect === 'spawn') this.#spawn();
      else if (effect === 'kill') this.#kill();
      else this.#terminate();
    }
    if (this.#life.phase === 'backoff') this.#armBackoff();
    else this.#disarmBackoff();
    const tell = (): void => {
      this.#report(before, step);
      this.#changed();
    };
    // A new run comes first: whatever can wait until it is under way waits. What is told is told in order all the same.
    this.#untold.push(tell);
    if (step.effects.includes('spawn')) this.#later(0, async () => this.#tellAll());
    else this.#tellAll();
  }

  /** Sends a signal to every process of the run, if there is one. */
  signal(signal: NodeJS.Signals): void {
    this.#run?.signal(signal);
  }

  /** Sends a signal to the task's own process; false: there is none. */
  signalLeader(signal: NodeJS.Signals): boolean {
    return this.#run?.signalLeader(signal) ?? false;
  }

  /** Stops it with another signal than its stop_signal. */
  stopWith(signal: NodeJS.Signals, why: string): void {
    this.#stopSignal = signal;
    this.dispatch({ kind: 'stop', reason: 'user', why });
  }

  /** Ends the run now, without asking it. */
  kill(): void {
    this.#kill();
  }

  /** What it takes to end the run from outside; null while nothing runs. */
  held(): HeldRun | null {
    const run = this.#run;
    return run && !run.over ? run.held : null;
  }

  /** Calls back whenever the task has changed, a new run among that; returns how to stop. */
  onRing(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  ring(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Resolves when the task is at rest: stopped, exited or failed (or this sitter lets go). */
  async atRest(): Promise<void> {
    while (!this.#stopped && !AT_REST.has(this.#life.phase)) {
      await new Promise<void>((resolve) => this.#waiters.add(resolve));
    }
    await Promise.all(this.#work);
  }

  /** Lets go of the task without touching it: it runs on under its shim. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#disarmBackoff();
    this.#killTimer?.cancel();
    this.#health?.stop();
    this.#logs?.stop();
    const run = this.#run;
    if (run) {
      run.letGo();
      await run.enclosure.release();
    }
    this.#wake();
    await Promise.all(this.#work);
  }

  status(): TaskStatus {
    const { configuration, id, job, version, generation } = this.definition;
    const life = this.#life;
    const { memBytes, cpu, pids } = limitsOf(configuration);
    // A run goes on in the walls that it was begun in, whatever the daemon uses by now.
    const walls = this.#run?.enclosure ?? { enforcer: this.#deps.enforcer.name, holds: this.#deps.enforcer.holds };
    return {
      id,
      job,
      name: configuration.name,
      version,
      generation,
      phase: life.phase,
      reason: life.reason,
      since: iso(life.since),
      pid: this.#run?.pid ?? null,
      run: life.run,
      startedAt: life.startedAt === null ? null : iso(life.startedAt),
      restarts: life.totalRestarts,
      flapping: life.streak >= FLAPPING_STARTS && this.#deps.clock.now() - (life.startedAt ?? life.since) < FLAPPING_MS,
      nextStartAt: life.nextStartAt === null ? null : iso(life.nextStartAt),
      revision: this.revision,
      limits: {
        cpu,
        memBytes,
        pids,
        enforcer: walls.enforcer,
        holds: { ...walls.holds, cpu: CPU_HOLDS[configuration.on_violation.cpu] ?? walls.holds.cpu },
      },
      usage: this.#run?.enclosure.usage() ?? null,
      warnings: [...this.#warnings.values()],
      health: this.#health?.condition ?? null,
      logs: this.#logs?.condition ?? null,
      lastEnd: this.#postMortems.last,
    };
  }

  /** Keeps the state on disk. A full disk does not stop a task: it is reported once, and tried again with each change. */
  save(): void {
    try {
      const { definition, revision } = this;
      this.#deps.files.save({ definition, revision, life: this.#life, ends: [...this.#postMortems.unwritten] });
      this.#saveFailed = false;
    } catch (error) {
      if (this.#saveFailed) return;
      this.#saveFailed = true;
      this.#deps.logger.error({ task: this.id, err: error }, 'the state of a task could not be saved');
      this.#event('error', 'task-state', `the state of ${this.id} could not be saved: ${messageOf(error)}`);
    }
  }

  #tellAll(): void {
    for (const tell of this.#untold.splice(0)) tell();
  }

  // --- runs ---

  #spawn(): void {
    this.#track(this.#startRun(this.#life.run));
  }

  async #startRun(number: number): Promise<void> {
    try {
      const run = await TaskRun.prepare(this.#deps, this.definition, number);
      if (this.#stopped || this.#life.run !== number || this.#life.phase !== 'starting') {
        await run.abandon();
        this.#failedToStart(number, 'stopped before it was started');
        return;
      }
      this.#run = run;
      run.start(this.#hostOf(run));
    } catch (error) {
      this.#failedToStart(number, `could not be started: ${messageOf(error)}`);
      return;
    }
    this.#keepLogs(number);
    this.#prune();
  }

  #keepLogs(run: number): void {
    this.#logs?.stop();
    this.#logs = RunLogs.begin(this.#deps, run, this.definition.configuration.logs.max_bytes);
  }

  /** One at a time: a task that ends at once, again and again, must not pile up sweepers that all look at the same folders. */
  #prune(): void {
    this.#pruneWanted = true;
    if (this.#pruning || this.#stopped) return;
    this.#pruning = true;
    this.#track(this.#pruneAll());
  }

  async #pruneAll(): Promise<void> {
    try {
      // Again, when a run began meanwhile: it was not on the list.
      while (this.#pruneWanted && !this.#stopped) {
        this.#pruneWanted = false;
        await this.#deps.files.prune(this.definition.configuration.logs.keep_runs);
      }
    } finally {
      this.#pruning = false;
    }
  }

  /** A run of this number never came to life. */
  #failedToStart(number: number, why: string): void {
    if (this.#life.run !== number) return;
    const run = this.#run;
    if (run?.record.run === number) {
      run.letGo();
      this.#over(run, { code: null, signal: null, because: 'spawn', why, livedMs: 0 });
    } else {
      this.dispatch({ kind: 'ended', code: null, signal: null, because: 'spawn', why, livedMs: 0 });
    }
  }

  #hostOf(run: TaskRun): TaskRunHost {
    return {
      onLeader: () => {
        this.dispatch({ kind: 'spawned' });
        this.#askHealth(run);
        this.#changed();
      },
      onBreach: (limit, sentence) => {
        // A sample that comes back late must not end the run after the one it was taken of.
        if (this.#run === run) this.dispatch({ kind: 'breach', limit, sentence });
      },
      onWarning: (warning) => {
        if (this.#run === run) this.#warn(warning);
      },
      onEnd: (ending) => this.#over(run, ending),
    };
  }

  #askHealth(run: TaskRun): void {
    const { configuration } = this.definition;
    this.#health?.stop();
    this.#health = null;
    if (configuration.health_check === undefined) return;
    this.#health = new RunHealth(this.#deps, this.definition, configuration.health_check, run.record.startedUptime, {
      onChange: (health) => {
        if (this.#run !== run) return;
        if (health.state === 'unhealthy') this.dispatch({ kind: 'unhealthy', sentence: health.sentence });
        else if (health.state === 'healthy') this.#event('info', 'task-healthy', `${this.id}: ${health.sentence}`);
        this.#changed();
      },
    });
    this.#health.start();
  }

  #warn({ limit, sentence }: Warning): void {
    if (sentence === null) this.#warnings.delete(limit);
    else {
      this.#warnings.set(limit, sentence);
      this.#event('warn', 'task-warning', `${this.id}: ${sentence}`);
    }
    this.#changed();
  }

  #terminate(): void {
    const run = this.#run;
    if (!run) return; // still being started: #startRun sees that it is no longer wanted
    const { stop_signal, stop_timeout } = this.definition.configuration;
    // First the timer: whatever becomes of the signal, the end comes.
    this.#killTimer?.cancel();
    this.#killTimer = this.#deps.clock.timer(stop_timeout * 1000, () => this.#track(this.#killRun(run)));
    run.signal(this.#stopSignal ?? stop_signal);
    this.#stopSignal = null;
  }

  #kill(): void {
    const run = this.#run;
    if (run) this.#track(this.#killRun(run));
  }

  async #killRun(run: TaskRun): Promise<void> {
    try {
      await run.kill();
    } catch (error) {
      this.#deps.logger.error({ task: this.id, err: error }, 'a task could not be killed');
      this.#event('error', 'task-kill', `${this.id} could not be ended: ${messageOf(error)}`);
    }
  }

  /** A run has ended. What follows at once is the state's business; clearing up after the run goes on beside it. */
  #over(run: TaskRun, ending: RunEnding): void {
    if (this.#stopped) return;
    this.#killTimer?.cancel();
    this.#killTimer = null;
    this.#health?.stop();
    this.#health = null;
    this.#logs?.stop();
    this.#logs = null;
    this.#warnings.clear();
    const event: TaskEvent = { kind: 'ended', ...ending };
    this.#ended = run.enclosure;
    run.killGroup();
    // Only what ended by itself is started again before the sweep: after a stop, "stopped" means that nothing is left.
    if (this.#life.ending === null && ending.because !== 'shim') {
      this.#run = null;
      this.dispatch(event);
      this.#later(SWEEP_AFTER_MS, () => this.#clearUp(run));
    } else {
      const swept = this.#clearUp(run).then(() => {
        this.#run = null;
        this.dispatch(event);
      });
      this.#track(swept);
    }
  }

  async #clearUp(run: TaskRun): Promise<void> {
    await this.#killRun(run);
    await run.enclosure.release();
  }

  /** Takes up what an earlier daemon left. */
  async #recoverRun(number: number): Promise<void> {
    const record = this.#deps.files.interruptedRun(number, this.#life.phase);
    if (!record) {
      // Not the task's fault: it has never run.
      this.dispatch({
        kind: 'ended',
        code: null,
        signal: null,
        because: 'reboot',
        why: 'the daemon ended before it was started',
        livedMs: null,
      });
      return;
    }
    const run = await TaskRun.adopt(this.#deps, this.definition, record);
    this.#run = run;
    run.resume(this.#hostOf(run));
    if (run.over) return;
    this.#keepLogs(number);
    if (this.#life.phase === 'stopping') this.#terminate();
    else
      this.#event(
        'info',
        'task-adopted',
        `${this.id} goes on as pid ${run.pid ?? '?'}; it was taken over by a new daemon`,
      );
  }

  // --- telling ---

  #report(before: TaskLife, step: TaskStep): void {
    const { life } = step;
    if (step.ended) {
      this.#track(this.#postMortems.write(before.run).then(() => this.#changed()));
      const expected = ['user', 'deploy'].includes(step.ended.reason) || life.phase === 'exited';
      this.#event(expected ? 'info' : 'warn', 'task-ended', `${this.id} run ${before.run}: ${life.reason}`);
    } else if (life.phase === 'running' && before.phase !== 'running') {
      this.#event('info', 'task-running', `${this.id} runs as pid ${this.#run?.pid ?? '?'} (run ${life.run})`);
    } else if (life.phase !== before.phase && life.phase !== 'starting') {
      this.#event('info', `task-${life.phase}`, `${this.id}: ${life.reason}`);
    }
  }

  #event(level: NewEvent['level'], kind: string, message: string): void {
    this.#deps.onEvent({ level, kind, message, job: this.definition.job, copy: this.id });
  }

  #changed(): void {
    this.#deps.onChange(this);
    this.#wake();
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }

  // --- timers and work that this sitter owns ---

  #armBackoff(): void {
    this.#disarmBackoff();
    // The pause is in a file as a time of day: a clock that was set back meanwhile must not make it longer than the longest.
    const longest = Math.max(1, this.definition.configuration.backoff.max, this.definition.configuration.backoff.first);
    const left = (this.#life.nextStartAt ?? 0) - this.#deps.clock.now();
    const wait = Math.min(Math.max(0, left), longest * 1000);
    this.#backoff = this.#deps.clock.timer(wait, () => this.dispatch({ kind: 'due' }));
  }

  #disarmBackoff(): void {
    this.#backoff?.cancel();
    this.#backoff = null;
  }

  #later(ms: number, work: () => Promise<void>): void {
    this.#track(new Promise<void>((resolve) => this.#deps.clock.timer(ms, resolve)).then(work));
  }

  #track(work: Promise<unknown>): void {
    this.#work.add(work);
    const done = (): void => void this.#work.delete(work);
    work.then(done, (error: unknown) => {
      done();
      this.#deps.logger.error({ task: this.id, err: error }, 'work on a task failed');
    });
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
