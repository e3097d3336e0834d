import { randomUUID } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Clock, Timer } from '../contracts/clock.ts';
import type { Enclosure, LimitEnforcer, Limits } from '../contracts/limit-enforcer.ts';
import type { Logger } from '../contracts/logger.ts';
import type { ProcessTable } from '../contracts/process-table.ts';
import type { TaskConfiguration, TaskDefinition } from '../model/task.ts';
import { type ProcessId, readExitFile, readProcessFile, type Shims } from './shim.ts';
import { type RunRecord, type TaskFiles, taskFolderName } from './task-files.ts';
import { taskUser } from './task-user.ts';

/** How long a tree may take to die of SIGKILL before we say so: a process in an uninterruptible wait does not. */
const KILL_DEADLINE_MS = 10_000;
/** How often a shim that is not our child (it was adopted) is looked at, beside the watch on its folder. */
const ADOPTED_CHECK_MS = 1000;
/** How often a folder is looked at that cannot be watched: the system's number of watches is spent. */
const UNWATCHED_CHECK_MS = 200;

/** What a run's record has for a log that is this process's own stream. */
export const OWN_STREAM = '-';

export interface TaskRunDeps {
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
}

/** How a run ended. `because` names an end that was no exit of the process. */
export interface RunEnding {
  code: number | null;
  signal: string | null;
  because?: 'spawn' | 'shim' | 'reboot';
  why?: string;
}

/** Who is told what becomes of a run. */
export interface TaskRunHost {
  /** The task's process is there. */
  onLeader(): void;
  onBreach(limit: 'cpu' | 'mem' | 'time', sentence: string): void;
  /** Called once, at the end; not called any more after `letGo`. */
  onEnd(ending: RunEnding): void;
}

/**
 * One run of a task in the world: its walls, its shim, its folder. Its end is noticed once, whether by the shim's exit (it is
 * our child), by its `exit` file (it was adopted), or by the shim's death without a word.
 */
export class TaskRun {
  readonly record: RunRecord;
  readonly enclosure: Enclosure;
  readonly #deps: TaskRunDeps;
  readonly #definition: TaskDefinition;
  #host: TaskRunHost | null = null;
  readonly #folder: string;
  #leader: ProcessId | null = null;
  #watcher: FSWatcher | null = null;
  #timeLimit: Timer | null = null;
  #check: Timer | null = null;
  #over = false;
  #adopted = false;

  private constructor(deps: TaskRunDeps, definition: TaskDefinition, record: RunRecord, enclosure: Enclosure) {
    this.#deps = deps;
    this.#definition = definition;
    this.record = record;
    this.enclosure = enclosure;
    this.#folder = deps.files.runFolder(record.run);
  }

  /** A new run, its walls built and nothing started yet. Throws `invalid` for a user that it cannot run as. */
  static async prepare(deps: TaskRunDeps, definition: TaskDefinition, number: number): Promise<TaskRun> {
    const { configuration, id } = definition;
    taskUser(configuration.uid);
    return TaskRun.adopt(deps, definition, {
      run: number,
      marker: randomUUID(),
      bootId: deps.processes.bootId,
      startedAt: deps.clock.now(),
      stdout: logPlace(deps, id, number, configuration.stdout_location, 'stdout'),
      stderr: logPlace(deps, id, number, configuration.stderr_location, 'stderr'),
    });
  }

  /** A run that an earlier daemon began: `resume` finds out what became of it. */
  static async adopt(deps: TaskRunDeps, definition: TaskDefinition, record: RunRecord): Promise<TaskRun> {
    const enclosure = await deps.enforcer.enclose(
      { marker: record.marker, task: definition.id },
      limitsOf(definition.configuration),
    );
    return new TaskRun(deps, definition, record, enclosure);
  }

  get pid(): number | null {
    return this.#leader?.pid ?? null;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Looks what became of an adopted run, and goes on with it if it lives. */
  resume(host: TaskRunHost): void {
    this.#host = host;
    this.#adopted = true;
    const { processes } = this.#deps;
    if (this.record.bootId !== processes.bootId) {
      const status = readExitFile(join(this.#folder, 'exit'));
      const reboot: RunEnding = { code: null, signal: null, because: 'reboot', why: 'the machine was restarted' };
      this.#end(status === undefined ? reboot : exitOf(status));
      return;
    }
    this.#watch();
    const shim = readProcessFile(join(this.#folder, 'shim'));
    const alive = (): boolean => {
      const info = shim && processes.read(shim.pid);
      return info !== undefined && info.startTime === shim?.startTime && info.state !== 'Z';
    };
    if (alive()) this.#every(ADOPTED_CHECK_MS, () => alive() || this.#shimEnded());
    else this.#shimEnded();
  }

  /** Sends a signal to every process of the run. */
  signal(signal: NodeJS.Signals): void {
    this.#meetLeader();
    this.enclosure.signal(signal);
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
    this.#check?.cancel();
  }

  /** Starts it. Throws what the system says when it cannot. */
  start(host: TaskRunHost): void {
    this.#host = host;
    const { files, shims, baseEnv } = this.#deps;
    const { configuration, id, job } = this.#definition;
    const user = taskUser(configuration.uid);
    files.beginRun(this.record);
    const shim = shims.begin({
      runFolder: this.#folder,
      marker: this.record.marker,
      cgroupProcs: this.enclosure.entry.cgroupProcs,
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
      stdout: this.record.stdout === OWN_STREAM ? 1 : this.record.stdout,
      stderr: this.record.stderr === OWN_STREAM ? 2 : this.record.stderr,
    });
    shim.once('exit', () => this.#shimEnded());
    shim.once('error', (error) =>
      this.#end({ code: null, signal: null, because: 'spawn', why: `the shim could not be started: ${error.message}` }),
    );
    shim.unref();
    this.#watch();
  }

  /** Waits for the shim's files, and starts the clock of time_limit. */
  #watch(): void {
    const { clock, logger } = this.#deps;
    this.enclosure.onBreach((breach) => this.#over || this.#host?.onBreach(breach.limit, breach.sentence));
    try {
      this.#watcher = watch(this.#folder, () => this.#look());
      this.#watcher.on('error', (error) =>
        logger.warn({ task: this.#definition.id, err: error }, 'the watch on a run folder failed'),
      );
    } catch (error) {
      logger.warn({ task: this.#definition.id, err: error }, 'a run folder cannot be watched; it is polled');
      this.#every(UNWATCHED_CHECK_MS, () => this.#look());
    }
    const limit = this.#definition.configuration.time_limit;
    if (limit !== undefined) {
      const left = Math.max(0, this.record.startedAt + limit * 1000 - clock.now());
      this.#timeLimit = clock.timer(left, () =>
        this.#host?.onBreach('time', `time: lived for its limit of ${limit} s`),
      );
    }
    this.#look();
  }

  #look(): void {
    if (this.#over) return;
    this.#meetLeader();
    const status = readExitFile(join(this.#folder, 'exit'));
    if (status !== undefined) this.#end(exitOf(status));
  }

  #meetLeader(): void {
    if (this.#leader || this.#over) return;
    const leader = readProcessFile(join(this.#folder, 'child'));
    if (!leader) return;
    // An adopted run's pid may be somebody else's by now; then the marker alone finds what is left of it.
    if (this.#adopted && this.#deps.processes.read(leader.pid)?.startTime !== leader.startTime) return;
    this.#leader = { pid: leader.pid, startTime: leader.startTime };
    this.enclosure.attach(this.#leader);
    this.#host?.onLeader();
  }

  /** The shim is gone. If it left no word, what it watched over is ended whole, for nobody would learn of its end. */
  #shimEnded(): void {
    this.#look();
    this.#end({ code: null, signal: null, because: 'shim', why: 'its shim died; the task was ended whole' });
  }

  #end(ending: RunEnding): void {
    if (this.#over) return;
    this.letGo();
    this.#host?.onEnd(ending);
  }

  #every(ms: number, callback: () => void): void {
    this.#check?.cancel();
    this.#check = this.#deps.clock.timer(ms, () => {
      if (this.#over) return;
      callback();
      if (!this.#over) this.#every(ms, callback);
    });
  }
}

export function limitsOf(configuration: TaskConfiguration): Limits {
  const { cpu, mem, poll_interval } = configuration;
  return {
    cpu: cpu ?? null,
    memBytes: mem === undefined ? null : Math.round(mem * 1024 * 1024),
    pollInterval: poll_interval,
  };
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

const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** 128+n is how a shell reports death by signal n. */
export function exitOf(status: number): RunEnding {
  const signal = status > 128 ? SIGNAL_NAMES.get(status - 128) : undefined;
  return signal === undefined ? { code: status, signal: null } : { code: null, signal };
}
