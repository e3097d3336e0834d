import { randomUUID } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Clock, Timer } from '../../contracts/clock.ts';
import type { Enclosure, EnclosureListener, LimitEnforcer, Warning } from '../../contracts/limit-enforcer.ts';
import type { Logger } from '../../contracts/logger.ts';
import type { ProcessId, ProcessTable } from '../../contracts/process-table.ts';
import { limitsOf } from '../../decide/task/limits-of.ts';
import { taskVariables } from '../../decide/task/task-variables.ts';
import { CerebroError } from '../../errors.ts';
import type { EndReason, LimitName, TaskDefinition } from '../../model/task.ts';
import { type TaskFiles, taskFolderName } from '../records/task-files.ts';
import type { RunRecord } from '../records/task-records.ts';
import type { HeldRun } from '../shim/dead-mans-switch.ts';
import { type Exit, exitOf, readExitFile } from '../shim/exit-file.ts';
import { isThere, type Shim } from '../shim/shim.ts';
import { OWN_STREAM, type ShimOrder } from '../shim/shim-script.ts';
import type { Shims } from '../shim/shims.ts';
import { taskEnvironment, taskUser } from '../shim/task-user.ts';

/** How long a tree may take to die of SIGKILL before we say so: a process in an uninterruptible wait does not. */
const KILL_DEADLINE_MS = 10_000;

export interface TaskRunDeps {
  files: TaskFiles;
  enforcer: LimitEnforcer;
  clock: Clock;
  logger: Logger;
  processes: ProcessTable;
  shims: Shims;
  /** Environment that every task of this machine gets, before its own. */
  baseEnv: Record<string, string>;
  /** Whether use is measured where no limit asks for it. */
  collectStats: boolean;
  /** Whether "-" as a log's place is this process's own stdout and stderr (`cerebro task`), and not the task's log folder. */
  ownStreams: boolean;
  /** Told before a run gets its order: whoever is to end it when this process dies has to know of it by then. */
  onOrder?(run: HeldRun): void;
}

/** How a run ended. `because` names an end that was no exit of the process, or the limit that the kernel ended it for. */
export interface RunEnding extends Exit {
  because?: Extract<EndReason, 'spawn' | 'shim' | 'reboot' | 'cpu' | 'mem' | 'pids'>;
  why?: string;
  /** How long it ran, by a clock that nobody sets; null: not known. */
  livedMs: number | null;
}

/** Who is told what becomes of a run. */
export interface TaskRunHost {
  /** The task's process is there. */
  onLeader(): void;
  onBreach(limit: LimitName, sentence: string): void;
  onWarning(warning: Warning): void;
  /** Called once, at the end; not called any more after `letGo`. */
  onEnd(ending: RunEnding): void;
}

/**
 * One run of a task in the world: its walls, its shim, its folder. Its end is noticed once, whether by the shim's word (we had it
 * started), by its exit file (it was adopted), or by the shim's death without a word.
 */
export class TaskRun {
  readonly record: RunRecord;
  readonly enclosure: Enclosure;
  readonly #deps: TaskRunDeps;
  readonly #definition: TaskDefinition;
  /** null: it was adopted, and its shim tells us nothing. */
  readonly #shim: Shim | null;
  readonly #folder: string;
  #host: TaskRunHost | null = null;
  #leader: ProcessId | null = null;
  #watcher: FSWatcher | null = null;
  #timeLimit: Timer | null = null;
  #shimWatch: Timer | null = null;
  #over = false;

  private constructor(
    deps: TaskRunDeps,
    definition: TaskDefinition,
    record: RunRecord,
    enclosure: Enclosure,
    shim: Shim | null,
  ) {
    this.#deps = deps;
    this.#definition = definition;
    this.record = record;
    this.enclosure = enclosure;
    this.#shim = shim;
    this.#folder = deps.files.runFolder(record.run);
  }

  /** A new run, its walls built and nothing started yet. Throws `invalid` for a user that it cannot run as, `unavailable` for want of a shim. */
  static async prepare(deps: TaskRunDeps, definition: TaskDefinition, number: number): Promise<TaskRun> {
    const { configuration, id } = definition;
    const { processes, clock } = deps;
    taskUser(configuration.uid);
    const marker = randomUUID();
    const shim = await deps.shims.take();
    try {
      const enclosure = await deps.enforcer.enclose(
        { marker, task: id },
        { ...limitsOf(configuration), measure: deps.collectStats },
      );
      const record: RunRecord = {
        run: number,
        marker,
        bootId: processes.bootId,
        startedAt: clock.now(),
        startedUptime: processes.uptime(),
        stdout: logPlace(deps, id, number, configuration.stdout_location, 'stdout'),
        stderr: logPlace(deps, id, number, configuration.stderr_location, 'stderr'),
        enforcer: enclosure.enforcer,
        handle: enclosure.handle,
        shim: { pid: shim.pid, startTime: shim.startTime },
        leader: shim.leader,
      };
      return new TaskRun(deps, definition, record, enclosure, shim);
    } catch (error) {
      shim.discard();
      throw error;
    }
  }

  /** A run that an earlier daemon began: `resume` finds out what became of it. */
  static async adopt(deps: TaskRunDeps, definition: TaskDefinition, record: RunRecord): Promise<TaskRun> {
    const { marker, enforcer, handle } = record;
    const enclosure = await deps.enforcer.enclose(
      { marker, task: definition.id, adopted: { enforcer, handle } },
      { ...limitsOf(definition.configuration), measure: deps.collectStats },
    );
    return new TaskRun(deps, definition, record, enclosure, null);
  }

  get pid(): number | null {
    return this.#leader?.pid ?? null;
  }

  get over(): boolean {
    return this.#over;
  }

  /** What it takes to end it from outside. */
  get held(): HeldRun {
    const { cgroupProcs } = this.enclosure.entry;
    const { leader, marker } = this.record;
    return { leader, marker, killFile: cgroupProcs && join(dirname(cgroupProcs), 'cgroup.kill') };
  }

  /** Looks what became of an adopted run, and goes on with it if it lives. */
  resume(host: TaskRunHost): void {
    this.#host = host;
    if (this.record.bootId !== this.#deps.processes.bootId) {
      const status = this.#exitStatus();
      if (status === undefined)
        this.#end({ code: null, signal: null, because: 'reboot', why: 'the machine was restarted' });
      else this.#end(exitOf(status));
      return;
    }
    this.enclosure.listen(this.#listener());
    this.#watchFolder();
    this.#armTimeLimit();
    if (!this.#isThere(this.record.shim)) {
      this.#shimEnded();
      return;
    }
    // Somebody else may have its pid by now; then the marker alone finds what is left of it.
    if (this.#isThere(this.record.leader)) this.#meetLeader();
    this.#look();
    if (!this.#over) this.#watchShim();
  }

  /** Sends a signal to every process of the run. */
  signal(signal: NodeJS.Signals): void {
    this.enclosure.signal(signal);
  }

  /** Sends a signal to the task's own process; false: it is gone. */
  signalLeader(signal: NodeJS.Signals): boolean {
    if (this.#over || !this.#leader || !this.#isThere(this.#leader)) return false;
    process.kill(this.#leader.pid, signal);
    return true;
  }

  /** SIGKILL to everything until nothing is left. Throws `timeout` for what does not die. */
  async kill(): Promise<void> {
    await this.enclosure.kill(KILL_DEADLINE_MS);
  }

  /** Whatever of the process group is left dies now, before a new run could meet it; `kill` finds the rest. */
  killGroup(): void {
    if (!this.#leader) return;
    try {
      process.kill(-this.#leader.pid, 'SIGKILL');
    } catch {
      // ESRCH: nobody is left in it, as it should be
    }
  }

  /** Takes the hands off; the task lives on, if it does. */
  letGo(): void {
    this.#over = true;
    this.#watcher?.close();
    this.#watcher = null;
    this.#timeLimit?.cancel();
    this.#shimWatch?.cancel();
  }

  /** Gives up a run that was prepared and is not wanted any more. */
  async abandon(): Promise<void> {
    this.letGo();
    this.#shim?.discard();
    await this.enclosure.release();
  }

  /** Starts it. Throws what the system says when it cannot. */
  start(host: TaskRunHost): void {
    const shim = this.#shim;
    if (!shim) throw new CerebroError('internal', 'an adopted run cannot be started');
    this.#host = host;
    const { files, baseEnv } = this.#deps;
    const { id, job } = this.#definition;
    const { record } = this;
    try {
      // On disk before the order: whatever becomes of us now, the next daemon finds the run.
      files.beginRun(record);
      this.enclosure.listen(this.#listener());
      this.#deps.onOrder?.(this.held);
      shim.begin(this.#order(baseEnv, id, job), (status) =>
        status === null ? this.#shimEnded() : this.#end(exitOf(status)),
      );
    } catch (error) {
      shim.discard();
      throw error;
    }
    this.#armTimeLimit();
    this.#watchShim();
    this.#meetLeader();
  }

  #watchShim(): void {
    if (!this.#over) this.#shimWatch = this.#deps.shims.watch(this.record.shim, () => this.#shimEnded());
  }

  #order(baseEnv: Record<string, string>, copy: string, job: string): ShimOrder {
    const { configuration } = this.#definition;
    const { record } = this;
    const user = taskUser(configuration.uid);
    return {
      runFolder: this.#folder,
      marker: record.marker,
      cgroupProcs: this.enclosure.entry.cgroupProcs,
      cwd: configuration.cwd,
      command: configuration.command,
      become: user.become,
      env: taskEnvironment(baseEnv, user, { job, copy }, taskVariables(this.#definition)),
      stdout: record.stdout,
      stderr: record.stderr,
    };
  }

  #listener(): EnclosureListener {
    return {
      onBreach: ({ limit, sentence }) => this.#over || this.#host?.onBreach(limit, sentence),
      onWarning: (warning) => this.#over || this.#host?.onWarning(warning),
    };
  }

  #watchFolder(): void {
    const { logger } = this.#deps;
    try {
      this.#watcher = watch(this.#folder, () => this.#look());
      this.#watcher.on('error', (error) =>
        logger.warn({ task: this.#definition.id, err: error }, 'the watch on a run folder failed'),
      );
    } catch (error) {
      // The check of the shim finds its end a little later.
      logger.warn({ task: this.#definition.id, err: error }, 'a run folder cannot be watched');
    }
  }

  #armTimeLimit(): void {
    const { clock, processes } = this.#deps;
    const limit = this.#definition.configuration.time_limit;
    if (limit === undefined) return;
    const left = Math.max(0, this.record.startedUptime + limit - processes.uptime());
    this.#timeLimit = clock.timer(left * 1000, () =>
      this.#host?.onBreach('time', `time: lived for its limit of ${limit} s`),
    );
  }

  #look(): void {
    if (this.#over) return;
    const status = this.#exitStatus();
    if (status !== undefined) this.#end(exitOf(status));
  }

  #meetLeader(): void {
    this.#leader = this.record.leader;
    this.enclosure.attach(this.#leader);
    this.#host?.onLeader();
  }

  /** The shim is gone. If it left no word, what it watched over is ended whole, for nobody would learn of its end. */
  #shimEnded(): void {
    this.#shim?.lost();
    this.#look();
    this.#end({ code: null, signal: null, because: 'shim', why: 'its shim died; the task was ended whole' });
  }

  #end(ending: Omit<RunEnding, 'livedMs'>): void {
    if (this.#over) return;
    this.letGo();
    const { processes } = this.#deps;
    const sameBoot = this.record.bootId === processes.bootId;
    const livedMs = sameBoot ? Math.max(0, processes.uptime() - this.record.startedUptime) * 1000 : null;
    // One that has exited well was not killed: what the kernel counted was a child of it, once.
    const unexplained = sameBoot && ending.because === undefined && ending.code !== 0;
    const cause = unexplained ? this.enclosure.causeOfEnd() : null;
    const because = cause && { because: cause.limit, why: cause.sentence };
    this.#host?.onEnd({ ...ending, ...because, livedMs });
  }

  #exitStatus(): number | undefined {
    return readExitFile(join(this.#folder, 'exit'));
  }

  #isThere(id: ProcessId): boolean {
    return isThere(this.#deps.processes, id);
  }
}

function logPlace(
  deps: TaskRunDeps,
  id: string,
  run: number,
  folder: string | undefined,
  stream: 'stdout' | 'stderr',
): string {
  if (folder === '-' && deps.ownStreams) return OWN_STREAM;
  if (folder === undefined || folder === '-') return join(deps.files.runFolder(run), stream);
  return join(folder, `${taskFolderName(id)}.${run}.${stream}`);
}
