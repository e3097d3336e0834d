import type { Timer } from '../../contracts/clock.ts';
import type { Enclosure } from '../../contracts/limit-enforcer.ts';
import { newTaskLife, stepTask, type TaskEvent, type TaskLife, type TaskStep } from '../../decide/task/task-life.ts';
import { messageOf } from '../../errors.ts';
import type { NewEvent } from '../../model/event.ts';
import { canonical } from '../../model/job.ts';
import type { RunEnd, TaskDefinition, TaskPhase, TaskStatus } from '../../model/task.ts';
import type { HeldRun } from '../shim/dead-mans-switch.ts';
import { OwnedWork } from './owned-work.ts';
import { PostMortems } from './post-mortems.ts';
import { RunCare, type RunCareDeps, type RunCareHost } from './run-care.ts';
import { RunPruner } from './run-pruner.ts';
import { TaskNews } from './task-news.ts';
import { type RunEnding, TaskRun, type TaskRunHost } from './task-run.ts';
import { taskStatus } from './task-status.ts';

/** Looking through all processes for what a run left behind takes milliseconds, which the start of the next run is not to wait for. */
const SWEEP_AFTER_MS = 25;

const AT_REST: ReadonlySet<TaskPhase> = new Set(['stopped', 'exited', 'failed']);

export interface TaskSitterDeps extends RunCareDeps {
  onChange(sitter: TaskSitter): void;
  onEvent(event: NewEvent): void;
}

/**
 * Holds one process to its limits and its lifetime. All decisions are `decide/task/task-life.ts`; this class carries them out, run
 * after run (`task-run.ts`, with what goes along with each in `run-care.ts`), and keeps the task's state on disk.
 */
export class TaskSitter {
  definition: TaskDefinition;
  revision: number;
  #life: TaskLife;
  /** The present run, until it has ended and nothing is left of it; `#care` only while it lives. */
  #run: TaskRun | null = null;
  #care: RunCare | null = null;
  /** The walls of the run that ended last, for its post-mortem. */
  #ended: Enclosure | null = null;
  #stopSignal: NodeJS.Signals | null = null;
  #backoff: Timer | null = null;
  #saveFailed = false;
  #stopped = false;
  readonly #deps: TaskSitterDeps;
  readonly #postMortems: PostMortems;
  readonly #work: OwnedWork;
  readonly #pruner: RunPruner;
  readonly #news: TaskNews;

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
    this.#work = new OwnedWork(deps.clock, (error) =>
      deps.logger.error({ task: this.id, err: error }, 'work on a task failed'),
    );
    this.#pruner = new RunPruner(deps.files, this.#work);
    this.#news = new TaskNews(deps.onEvent);
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
    this.#news.tellAll();
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
    this.#news.tellAll();
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
    this.#news.keep(() => {
      if (step.ended) this.#work.add(this.#postMortems.write(before.run).then(() => this.#changed()));
      this.#news.step(this.definition, before, step, this.#run?.pid ?? null);
      this.#changed();
    });
    // A new run comes first: whatever can wait until it is under way waits. What is told is told in order all the same.
    if (step.effects.includes('spawn')) this.#work.later(0, async () => this.#news.tellAll());
    else this.#news.tellAll();
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
    return this.#news.onRing(listener);
  }

  ring(): void {
    this.#news.ring();
  }

  /** Resolves when the task is at rest: stopped, exited or failed (or this sitter lets go). */
  async atRest(): Promise<void> {
    while (!this.#stopped && !AT_REST.has(this.#life.phase)) await this.#news.change();
    await this.#work.done();
  }

  /** Lets go of the task without touching it: it runs on under its shim. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#disarmBackoff();
    this.#pruner.stop();
    this.#care?.letGo();
    const run = this.#run;
    if (run) {
      run.letGo();
      await run.enclosure.release();
    }
    this.#news.wake();
    await this.#work.done();
  }

  status(): TaskStatus {
    const { enforcer, clock } = this.#deps;
    return taskStatus({
      definition: this.definition,
      revision: this.revision,
      life: this.#life,
      run: this.#run,
      care: this.#care,
      lastEnd: this.#postMortems.last,
      enforcer: { enforcer: enforcer.name, holds: enforcer.holds },
      now: clock.now(),
    });
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

  // --- runs ---

  #spawn(): void {
    this.#work.add(this.#startRun(this.#life.run));
  }

  async #startRun(number: number): Promise<void> {
    try {
      const run = await TaskRun.prepare(this.#deps, this.definition, number);
      if (this.#stopped || this.#life.run !== number || this.#life.phase !== 'starting') {
        await run.abandon();
        this.#failedToStart(number, 'stopped before it was started');
        return;
      }
      run.start(this.#hold(run));
    } catch (error) {
      this.#failedToStart(number, `could not be started: ${messageOf(error)}`);
      return;
    }
    this.#care?.keepLogs();
    this.#pruner.prune(this.definition.configuration.logs.keep_runs);
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

  /** From now on this is the present run. Returns what is to be told of it. */
  #hold(run: TaskRun): TaskRunHost {
    const care = new RunCare(this.#deps, run, this.definition, this.#careHost());
    this.#run = run;
    this.#care = care;
    return {
      onLeader: () => {
        this.dispatch({ kind: 'spawned' });
        care.askHealth();
        this.#changed();
      },
      onBreach: (limit, sentence) => {
        // A sample that comes back late must not end the run after the one it was taken of.
        if (this.#run === run) this.dispatch({ kind: 'breach', limit, sentence });
      },
      onWarning: (warning) => care.warn(warning),
      onEnd: (ending) => this.#over(run, ending),
    };
  }

  #careHost(): RunCareHost {
    return {
      onUnhealthy: (sentence) => this.dispatch({ kind: 'unhealthy', sentence }),
      onHealthy: (sentence) => this.#event('info', 'task-healthy', `${this.id}: ${sentence}`),
      onWarning: (sentence) => this.#event('warn', 'task-warning', `${this.id}: ${sentence}`),
      onChange: () => this.#changed(),
    };
  }

  #terminate(): void {
    const run = this.#run;
    if (!run) return; // still being started: #startRun sees that it is no longer wanted
    const { stop_signal, stop_timeout } = this.definition.configuration;
    // First the timer: whatever becomes of the signal, the end comes.
    this.#care?.mustEndWithin(stop_timeout * 1000, () => this.#work.add(this.#killRun(run)));
    run.signal(this.#stopSignal ?? stop_signal);
    this.#stopSignal = null;
  }

  #kill(): void {
    const run = this.#run;
    if (run) this.#work.add(this.#killRun(run));
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
    if (this.#care) this.#work.add(this.#care.end());
    this.#care = null;
    const event: TaskEvent = { kind: 'ended', ...ending };
    this.#ended = run.enclosure;
    run.killGroup();
    // Only what ended by itself is started again before the sweep: after a stop, "stopped" means that nothing is left.
    if (this.#life.ending === null && ending.because !== 'shim') {
      this.#run = null;
      this.dispatch(event);
      this.#work.later(SWEEP_AFTER_MS, () => this.#clearUp(run));
    } else {
      const swept = this.#clearUp(run).then(() => {
        this.#run = null;
        this.dispatch(event);
      });
      this.#work.add(swept);
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
    const host = this.#hold(run);
    this.#care?.keepLogs(); // of one that has ended meanwhile too: with its end holes in them are closed
    run.resume(host);
    if (run.over) return;
    if (this.#life.phase === 'stopping') {
      // One whose process was met has been asked by now: a second time means "at once" to some programs.
      if (run.pid === null) this.#terminate();
    } else
      this.#event(
        'info',
        'task-adopted',
        `${this.id} goes on as pid ${run.pid ?? '?'}; it was taken over by a new daemon`,
      );
  }

  // --- telling ---

  #event(level: NewEvent['level'], kind: string, message: string): void {
    this.#news.event(this.definition, level, kind, message);
  }

  #changed(): void {
    this.#deps.onChange(this);
    this.#news.wake();
  }

  // --- the pause before the next run ---

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
}
