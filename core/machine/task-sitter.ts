import { randomUUID } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Clock, Timer } from '../contracts/clock.ts';
import type { Enclosure, LimitEnforcer } from '../contracts/limit-enforcer.ts';
import type { Logger } from '../contracts/logger.ts';
import type { ProcessTable } from '../contracts/process-table.ts';
import { newTaskLife, stepTask, type TaskEvent, type TaskLife, type TaskStep } from '../decide/task-life.ts';
import { messageOf } from '../errors.ts';
import type { NewEvent } from '../model/event.ts';
import type { EndReason, RunEnd, TaskDefinition, TaskStatus } from '../model/task.ts';
import { lastLines } from './log-file.ts';
import { type ProcessId, readExitFile, readProcessFile, type Shims } from './shim.ts';
import { type RunRecord, type TaskFiles, taskFolderName } from './task-files.ts';
import { taskUser } from './task-user.ts';

const LAST_LINES = 20;
/** Looking through all processes for what a run left behind takes milliseconds, which the start of the next run is not to wait for. */
const SWEEP_AFTER_MS = 25;
/** How long a tree may take to die of SIGKILL before we say so: a process in an uninterruptible wait does not. */
const KILL_DEADLINE_MS = 10_000;
/** How often a shim that is not our child (it was adopted) is looked at, beside the watch on its folder. */
const ADOPTED_CHECK_MS = 1000;

/** What a run's record has for a log that is this process's own stream. */
const OWN_STREAM = '-';

export interface TaskSitterDeps {
  files: TaskFiles;
  enforcer: LimitEnforcer;
  clock: Clock;
  logger: Logger;
  processes: ProcessTable;
  shims: Shims;
  /** Environment that every task of this machine gets, before its own. */
  baseEnv: Record<string, string>;
  /** Whether "-" as a log's place is this process's own stdout and stderr (`cerebro task`), and not the task's log folder. */
  ownStreams: boolean;
  onChange(sitter: TaskSitter): void;
  onEvent(event: NewEvent): void;
}

/** A run that is in the world now. */
interface Run {
  record: RunRecord;
  folder: string;
  enclosure: Enclosure;
  leader: ProcessId | null;
  watcher: FSWatcher | null;
  /** Ends the run when the time is up, or looks after an adopted shim. */
  timers: Timer[];
  over: boolean;
}

/**
 * Holds one process to its limits and its lifetime. All decisions are `decide/task-life.ts`; this class carries them out:
 * starts shims, notices ends, kills what has to end, keeps the task's files. Every end of a run is noticed once, whether by
 * the shim's exit (it is our child), by its `exit` file (it was adopted), or by its death without one.
 */
export class TaskSitter {
  definition: TaskDefinition;
  revision: number;
  #life: TaskLife;
  #run: Run | null = null;
  #lastEnd: RunEnd | null = null;
  #backoff: Timer | null = null;
  #killTimer: Timer | null = null;
  /** The walls of the run that ended last, for its post-mortem. */
  #ended: Enclosure | null = null;
  #saveFailed = false;
  /** What happened and was not reported yet. */
  readonly #untold: (() => void)[] = [];
  #stopped = false;
  readonly #deps: TaskSitterDeps;
  readonly #waiters = new Set<() => void>();
  readonly #work = new Set<Promise<unknown>>();

  constructor(deps: TaskSitterDeps, definition: TaskDefinition, state: { revision: number; life: TaskLife } | null) {
    this.#deps = deps;
    this.definition = definition;
    this.revision = state?.revision ?? 1;
    this.#life = state?.life ?? newTaskLife(deps.clock.now());
    if (this.#life.run > 0)
      this.#lastEnd = deps.files.end(this.#life.run) ?? deps.files.end(this.#life.run - 1) ?? null;
  }

  get id(): string {
    return this.definition.id;
  }

  get phase(): TaskLife['phase'] {
    return this.#life.phase;
  }

  /** The number of the newest run. */
  get run(): number {
    return this.#life.run;
  }

  /** Takes up what was left by an earlier daemon: adopts a living run, learns the end of one that ended, starts what should run. */
  async recover(): Promise<void> {
    const life = this.#life;
    if (life.phase === 'starting' || life.phase === 'running' || life.phase === 'stopping') {
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
    this.save();
    for (const effect of step.effects) {
      if (effect === 'spawn') this.#spawn();
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

  /** A new configuration; the caller restarts it if it runs with anything that changed. */
  redefine(definition: TaskDefinition): void {
    this.definition = definition;
    this.revision += 1;
    this.save();
    this.#changed();
  }

  /** Resolves when the task is at rest: stopped, exited or failed (or this sitter lets go). */
  async atRest(): Promise<void> {
    while (!this.#stopped && !['stopped', 'exited', 'failed'].includes(this.#life.phase)) {
      await new Promise<void>((resolve) => this.#waiters.add(resolve));
    }
    await Promise.all(this.#work);
  }

  /** Lets go of the task without touching it: it runs on under its shim. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#disarmBackoff();
    this.#killTimer?.cancel();
    const run = this.#run;
    if (run) {
      this.#releaseHands(run);
      await run.enclosure.release();
    }
    this.#wake();
    await Promise.all(this.#work);
  }

  status(): TaskStatus {
    const { configuration, id, job, version } = this.definition;
    const life = this.#life;
    const { enforcer } = this.#deps;
    return {
      id,
      job,
      name: configuration.name,
      version,
      phase: life.phase,
      reason: life.reason,
      since: iso(life.since),
      pid: this.#run?.leader?.pid ?? null,
      run: life.run,
      startedAt: life.startedAt === null ? null : iso(life.startedAt),
      restarts: life.totalRestarts,
      nextStartAt: life.nextStartAt === null ? null : iso(life.nextStartAt),
      revision: this.revision,
      limits: {
        cpu: configuration.cpu ?? null,
        memBytes: memBytes(configuration.mem),
        enforcer: enforcer.name,
        holds: enforcer.holds,
      },
      usage: this.#run?.enclosure.usage() ?? null,
      lastEnd: this.#lastEnd,
    };
  }

  /** Keeps the state on disk. A full disk does not stop a task: it is reported once, and tried again with each change. */
  save(): void {
    try {
      this.#deps.files.save({ definition: this.definition, revision: this.revision, life: this.#life });
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

  // --- starting ---

  #spawn(): void {
    this.#track(this.#startRun(this.#life.run));
  }

  async #startRun(run: number): Promise<void> {
    const { files, enforcer, clock, processes, shims, baseEnv } = this.#deps;
    const { configuration, id, job } = this.definition;
    try {
      const user = taskUser(configuration.uid);
      const marker = randomUUID();
      const logName = (folder: string | undefined, stream: 'stdout' | 'stderr'): string => {
        if (folder === '-' && this.#deps.ownStreams) return OWN_STREAM;
        return folder === undefined || folder === '-'
          ? join(files.runFolder(run), stream)
          : join(folder, `${taskFolderName(id)}.${run}.${stream}`);
      };
      const record: RunRecord = {
        run,
        marker,
        bootId: processes.bootId,
        startedAt: clock.now(),
        stdout: logName(configuration.stdout_location, 'stdout'),
        stderr: logName(configuration.stderr_location, 'stderr'),
      };
      const enclosure = await enforcer.enclose(
        { marker, task: id },
        {
          cpu: configuration.cpu ?? null,
          memBytes: memBytes(configuration.mem),
          pollInterval: configuration.poll_interval,
        },
      );
      if (this.#stopped || this.#life.run !== run || this.#life.phase !== 'starting') {
        await enclosure.release();
        if (!this.#stopped && this.#life.run === run)
          this.#over(null, { code: null, because: 'spawn', why: 'stopped before it was started' });
        return;
      }
      const folder = files.beginRun(record);
      this.#run = { record, folder, enclosure, leader: null, watcher: null, timers: [], over: false };
      const current = this.#run;
      const shim = shims.begin({
        runFolder: folder,
        marker,
        cgroupProcs: enclosure.entry.cgroupProcs,
        cwd: configuration.cwd,
        command: configuration.command,
        become: user.become,
        env: {
          ...baseEnv,
          HOME: user.home,
          USER: user.name,
          LOGNAME: user.name,
          CEREBRO_JOB: job,
          CEREBRO_COPY: id,
          ...configuration.env,
        },
        stdout: record.stdout === OWN_STREAM ? 1 : record.stdout,
        stderr: record.stderr === OWN_STREAM ? 2 : record.stderr,
      });
      shim.once('exit', () => this.#shimEnded(current));
      shim.once('error', (error) =>
        this.#over(current, { code: null, because: 'spawn', why: `the shim could not be started: ${error.message}` }),
      );
      shim.unref();
      this.#watchRun(current);
      this.#track(files.prune(configuration.logs.keep_runs));
    } catch (error) {
      this.#over(this.#run, { code: null, because: 'spawn', why: `could not be started: ${messageOf(error)}` });
    }
  }

  /** Waits for the shim's files, and starts the clock of time_limit. */
  #watchRun(run: Run): void {
    const { clock } = this.#deps;
    run.enclosure.onBreach((breach) =>
      this.dispatch({ kind: 'breach', limit: breach.limit, sentence: breach.sentence }),
    );
    try {
      run.watcher = watch(run.folder, () => this.#lookAtRun(run));
      run.watcher.on('error', (error) =>
        this.#deps.logger.warn({ task: this.id, err: error }, 'the watch on a run folder failed'),
      );
    } catch (error) {
      // Without a watch (the system's number of them is spent) the slower look has to do.
      this.#deps.logger.warn({ task: this.id, err: error }, 'a run folder cannot be watched; it is polled');
      this.#every(run, 200, () => this.#lookAtRun(run));
    }
    const limit = this.definition.configuration.time_limit;
    if (limit !== undefined) {
      const left = Math.max(0, run.record.startedAt + limit * 1000 - clock.now());
      run.timers.push(
        clock.timer(left, () =>
          this.dispatch({ kind: 'breach', limit: 'time', sentence: `time: lived for its limit of ${limit} s` }),
        ),
      );
    }
    this.#lookAtRun(run);
  }

  #lookAtRun(run: Run): void {
    if (run.over) return;
    this.#meetLeader(run);
    const status = readExitFile(join(run.folder, 'exit'));
    if (status !== undefined) this.#over(run, exitOf(status));
  }

  #meetLeader(run: Run): void {
    if (run.leader) return;
    const leader = readProcessFile(join(run.folder, 'child'));
    if (!leader) return;
    run.leader = { pid: leader.pid, startTime: leader.startTime };
    run.enclosure.attach(run.leader);
    this.dispatch({ kind: 'spawned' });
    this.#changed();
  }

  // --- ending ---

  #terminate(): void {
    const run = this.#run;
    if (!run) return; // still being started: #startRun sees that it is no longer wanted
    const { stop_signal, stop_timeout } = this.definition.configuration;
    this.#meetLeader(run);
    run.enclosure.signal(stop_signal);
    this.#killTimer?.cancel();
    this.#killTimer = this.#deps.clock.timer(stop_timeout * 1000, () => this.#track(this.#killRun(run)));
  }

  async #killRun(run: Run): Promise<void> {
    try {
      await run.enclosure.kill(KILL_DEADLINE_MS);
    } catch (error) {
      this.#deps.logger.error({ task: this.id, err: error }, 'a task could not be killed');
      this.#event('error', 'task-kill', `${this.id} could not be ended: ${messageOf(error)}`);
    }
  }

  #shimEnded(run: Run): void {
    this.#lookAtRun(run);
    if (!run.over) this.#shimDied(run);
  }

  /** The shim is gone and left no word: what it watched over is ended whole, for nobody would learn of its end. */
  #shimDied(run: Run): void {
    this.#over(run, { code: null, because: 'shim', why: 'its shim died; the task was ended whole' });
  }

  /** A run has ended. What follows at once is the state's business; clearing up after the run goes on beside it. */
  #over(
    run: Run | null,
    end: { code: number | null; signal?: string | null; because?: 'spawn' | 'shim' | 'reboot'; why?: string },
  ): void {
    if (run?.over || this.#stopped) return;
    if (run) {
      run.over = true;
      this.#ended = run.enclosure;
      this.#releaseHands(run);
    }
    this.#killTimer?.cancel();
    this.#killTimer = null;
    const event: TaskEvent = {
      kind: 'ended',
      code: end.code,
      signal: end.signal ?? null,
      ...(end.because && { because: end.because, why: end.why ?? end.because }),
    };
    if (!run) {
      this.dispatch(event);
      return;
    }
    // Whatever of the process group is left dies now, before a new run could meet it; the whole tree is swept below.
    if (run.leader) killGroup(run.leader.pid);
    // Only what ended by itself is started again before the sweep: after a stop, "stopped" means that nothing is left.
    if (this.#life.ending === null && end.because !== 'shim') {
      this.#run = null;
      this.dispatch(event);
      this.#later(SWEEP_AFTER_MS, () => this.#clearUp(run));
    } else {
      this.#track(
        this.#clearUp(run).then(() => {
          this.#run = null;
          this.dispatch(event);
        }),
      );
    }
  }

  async #clearUp(run: Run): Promise<void> {
    await this.#killRun(run);
    await run.enclosure.release();
  }

  #releaseHands(run: Run): void {
    run.watcher?.close();
    run.watcher = null;
    for (const timer of run.timers.splice(0)) timer.cancel();
  }

  // --- taking up what an earlier daemon left ---

  async #recoverRun(number: number): Promise<void> {
    const { files, processes, enforcer } = this.#deps;
    const record = files.run(number);
    if (!record) {
      this.dispatch({
        kind: 'ended',
        code: null,
        signal: null,
        because: 'spawn',
        why: 'the daemon ended before it was started',
      });
      return;
    }
    const { configuration } = this.definition;
    const enclosure = await enforcer.enclose(
      { marker: record.marker, task: this.id },
      {
        cpu: configuration.cpu ?? null,
        memBytes: memBytes(configuration.mem),
        pollInterval: configuration.poll_interval,
      },
    );
    const run: Run = {
      record,
      folder: files.runFolder(number),
      enclosure,
      leader: null,
      watcher: null,
      timers: [],
      over: false,
    };
    this.#run = run;
    if (record.bootId !== processes.bootId) {
      const status = readExitFile(join(run.folder, 'exit'));
      this.#over(
        run,
        status === undefined ? { code: null, because: 'reboot', why: 'the machine was restarted' } : exitOf(status),
      );
      return;
    }
    this.#watchRun(run);
    if (run.over) return;
    const shim = readProcessFile(join(run.folder, 'shim'));
    const alive = (): boolean => {
      const info = shim && processes.read(shim.pid);
      return info !== undefined && info.startTime === shim?.startTime && info.state !== 'Z';
    };
    this.#every(run, ADOPTED_CHECK_MS, () => {
      if (!alive()) this.#shimEnded(run);
    });
    if (!alive()) this.#shimEnded(run);
    else if (this.#life.phase === 'stopping') this.#terminate();
    else
      this.#event(
        'info',
        'task-adopted',
        `${this.id} goes on as pid ${run.leader?.pid ?? '?'}; it was taken over by a new daemon`,
      );
  }

  // --- telling ---

  #report(before: TaskLife, step: TaskStep): void {
    const { life } = step;
    if (step.ended) {
      this.#recordEnd(before, step.ended);
      const expected = step.ended.reason === 'user' || step.ended.reason === 'deploy' || life.phase === 'exited';
      this.#event(expected ? 'info' : 'warn', 'task-ended', `${this.id} run ${before.run}: ${life.reason}`);
    } else if (life.phase === 'running' && before.phase !== 'running') {
      this.#event('info', 'task-running', `${this.id} runs as pid ${this.#run?.leader?.pid ?? '?'} (run ${life.run})`);
    } else if (life.phase !== before.phase && life.phase !== 'starting') {
      this.#event('info', `task-${life.phase}`, `${this.id}: ${life.reason}`);
    }
  }

  #recordEnd(before: TaskLife, ended: { reason: EndReason; sentence: string }): void {
    const { files, clock, logger } = this.#deps;
    const record = files.run(before.run);
    const status = record ? readExitFile(join(files.runFolder(before.run), 'exit')) : undefined;
    const exit = status === undefined ? { code: null, signal: null } : exitOf(status);
    const enclosure = this.#ended;
    const end: RunEnd = {
      run: before.run,
      reason: ended.reason,
      sentence: ended.sentence,
      code: exit.code,
      signal: exit.signal ?? null,
      startedAt: iso(before.startedAt ?? before.since),
      endedAt: iso(clock.now()),
      peakMemBytes: enclosure?.peakMemBytes() ?? 0,
      cpuSeconds: enclosure?.cpuSeconds() ?? 0,
      restarts: before.totalRestarts,
      lastLines: [],
    };
    this.#lastEnd = end;
    if (!record || record.stdout === OWN_STREAM) return;
    // The lines are read and the record written after the new run was started: nobody waits for them.
    this.#track(
      (async () => {
        const stderr = await lastLines(record.stderr, LAST_LINES);
        end.lastLines = stderr.length > 0 ? stderr : await lastLines(record.stdout, LAST_LINES);
        files.endRun(end);
        this.#changed();
      })().catch((error: unknown) => logger.error({ task: this.id, err: error }, 'a post-mortem could not be written')),
    );
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
    const wait = Math.max(0, (this.#life.nextStartAt ?? 0) - this.#deps.clock.now());
    this.#backoff = this.#deps.clock.timer(wait, () => this.dispatch({ kind: 'due' }));
  }

  #disarmBackoff(): void {
    this.#backoff?.cancel();
    this.#backoff = null;
  }

  #every(run: Run, ms: number, callback: () => void): void {
    const again = (): void => {
      if (run.over || this.#stopped) return;
      callback();
      if (!run.over) run.timers.push(this.#deps.clock.timer(ms, again));
    };
    run.timers.push(this.#deps.clock.timer(ms, again));
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

const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** 128+n is how a shell reports death by signal n. */
function exitOf(status: number): { code: number | null; signal: string | null } {
  const signal = status > 128 ? SIGNAL_NAMES.get(status - 128) : undefined;
  return signal === undefined ? { code: status, signal: null } : { code: null, signal };
}

function killGroup(pgid: number): void {
  try {
    process.kill(-pgid, 'SIGKILL');
  } catch {
    // ESRCH: nobody is left in it, as it should be
  }
}

function memBytes(mem: number | undefined): number | null {
  return mem === undefined ? null : Math.round(mem * 1024 * 1024);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
