import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Timer } from '../contracts/clock.ts';
import type { LimitEnforcer } from '../contracts/limit-enforcer.ts';
import type { Logger } from '../contracts/logger.ts';
import type { ProcessTable } from '../contracts/process-table.ts';
import { didYouMean } from '../decide/words/nearest-names.ts';
import { CerebroError, messageOf } from '../errors.ts';
import type { MachineCapacity, Room } from '../model/capacity.ts';
import type { NewEvent } from '../model/event.ts';
import type { RunEnd, TaskDefinition, TaskStatus } from '../model/task.ts';
import type { ExpectedRevision } from './expected-revision.ts';
import type { LogSource } from './logs/log-file.ts';
import { LogKeeper } from './logs/log-keeper.ts';
import { DamagedTasks } from './records/damaged-tasks.ts';
import { EventLog } from './records/event-log.ts';
import { HeardEpoch } from './records/heard-epoch.ts';
import { TaskFiles, taskFolderName } from './records/task-files.ts';
import { Leash } from './shim/leash.ts';
import { makeShimGroup, SHIM_GROUP, shimGroupOf } from './shim/shim-group.ts';
import { Shims } from './shim/shims.ts';
import { SAME_STANDING, type TasksStanding } from './shim/standing.ts';
import { oneOfJob, TaskLogs } from './task/task-logs.ts';
import { TaskSitter } from './task/task-sitter.ts';
import { type SignalOrder, TaskOrders } from './task-orders.ts';

export interface MachineSitterDeps {
  dataDir: string;
  enforcer: LimitEnforcer;
  clock: Clock;
  logger: Logger;
  processes: ProcessTable;
  /** The group of cgroup v2 that tasks and shims live in, where it is not the daemon's own; absent: there is none. */
  tasksGroup?: string | undefined;
  /** Cores and MB that may be reserved by tasks; absent: nobody counts. */
  offered?: Room;
  /** How the kernel treats the daemon beside its tasks, which are not to inherit that. */
  standing?: { readonly tasks: TasksStanding };
}

export type MachineChange = { kind: 'task'; task: TaskStatus } | { kind: 'task-gone'; id: string };

/** How often usage figures are passed on to whoever watches. */
const VITALS_MS = 2000;

/** All the tasks of one machine: their definitions on disk, their sitters, their logs and events. */
export class MachineSitter {
  readonly events: EventLog;
  readonly #deps: MachineSitterDeps;
  readonly #sitters = new Map<string, TaskSitter>();
  readonly #orders: TaskOrders;
  readonly #listeners = new Set<(change: MachineChange) => void>();
  readonly #damaged: DamagedTasks;
  readonly #epoch: HeardEpoch;
  readonly #shims: Shims;
  readonly #logKeeper: LogKeeper;
  #vitals: Timer | null = null;
  readonly #leash: Leash;

  constructor(deps: MachineSitterDeps) {
    this.#deps = deps;
    this.#leash = new Leash(deps.processes);
    this.events = new EventLog(deps.dataDir, deps.clock, deps.logger);
    const { dataDir, clock, processes } = deps;
    this.#epoch = new HeardEpoch(dataDir, deps.logger);
    this.#damaged = new DamagedTasks(this.#tasksFolder, processes);
    this.#shims = new Shims({
      folder: dataDir,
      env: shimEnvironment(deps.tasksGroup),
      clock,
      processes,
      standing: () => deps.standing?.tasks ?? SAME_STANDING,
    });
    this.#orders = new TaskOrders({
      sitters: this.#sitters,
      damaged: this.#damaged,
      offered: deps.offered,
      clock,
      newSitter: (definition) => this.#newSitter(definition, null),
      find: (id) => this.#sitter(id),
      forget: (sitter) => this.#forget(sitter),
      onChange: (sitter) => this.#changed(sitter),
      onEvent: (event) => this.#addEvent(event),
    });
    this.#logKeeper = new LogKeeper({
      clock,
      logger: deps.logger,
      onDiskFull: (message) => this.#addEvent({ level: 'error', kind: 'disk-full', message }),
    });
  }

  async start(): Promise<void> {
    const folder = this.#tasksFolder;
    mkdirSync(folder, { recursive: true, mode: 0o750 });
    if (this.#deps.tasksGroup !== undefined) makeShimGroup(this.#deps.tasksGroup);
    this.#shims.start();
    this.events.load();
    this.#epoch.load();
    for (const name of readdirSync(folder)) await this.#load(join(folder, name));
    await Promise.all([...this.#sitters.values()].map((sitter) => this.#recover(sitter)));
    this.#tick();
  }

  /** Lets go of all tasks; they run on. */
  async stop(): Promise<void> {
    this.#vitals?.cancel();
    this.#vitals = null;
    await Promise.all([...this.#sitters.values()].map((sitter) => sitter.stop()));
    await this.#logKeeper.stop();
    await this.#shims.stop();
  }

  /** Ends all tasks in order, to be started again by the next start. */
  async suspend(): Promise<void> {
    this.#orders.close();
    for (const sitter of this.#sitters.values())
      sitter.dispatch({ kind: 'suspend', why: 'the machine is being stopped' });
    await Promise.all([...this.#sitters.values()].map((sitter) => sitter.atRest()));
  }

  /** Refuses (`forbidden`) commands of a cluster sitter that has been succeeded; null: a person with the machine's token. */
  checkEpoch(epoch: number | null): void {
    this.#epoch.check(epoch);
    // Whatever it is about, it is a word from the cluster sitter.
    if (epoch !== null) this.#leash.heard();
  }

  tasks(): TaskStatus[] {
    return [...this.#sitters.values()].map((sitter) => sitter.status());
  }

  damaged(): ReadonlyMap<string, string> {
    return this.#damaged.sentences;
  }

  /** What this machine offers and what of it is reserved; null where nobody counts. */
  capacity(): MachineCapacity | null {
    return this.#orders.capacity();
  }

  task(id: string): TaskStatus {
    return this.#sitter(id).status();
  }

  definition(id: string): TaskDefinition {
    return this.#sitter(id).definition;
  }

  definitions(): TaskDefinition[] {
    return [...this.#sitters.values()].map((sitter) => sitter.definition);
  }

  /**
   * Makes the machine have this task, in one write. Adding what is there already changes nothing; a changed definition is a new
   * revision, and restarts the task if it runs. Throws `invalid` for what cannot run here, `conflict` for what does not fit,
   * `precondition` when the task is not as `expected`, `no_space` or `unavailable` when the order cannot be kept.
   */
  put(
    definition: TaskDefinition,
    options: { start: boolean; expected?: ExpectedRevision | undefined },
  ): Promise<TaskStatus> {
    return this.#orders.put(definition, options);
  }

  /** What `put` would do; see there, and `TaskOrders.check`. */
  check(...order: Parameters<TaskOrders['check']>): ReturnType<TaskOrders['check']> {
    return this.#orders.check(...order);
  }

  /** See `TaskOrders.remove`. */
  remove(id: string, expected?: ExpectedRevision): Promise<boolean> {
    return this.#orders.remove(id, expected);
  }

  act(id: string, action: 'start' | 'stop' | 'restart', by: string, expected?: ExpectedRevision): TaskStatus {
    return this.#orders.act(id, action, by, expected);
  }

  /** Sends a signal to a task's own process, or to all of its processes. Throws `conflict` when it does not run. */
  signal(id: string, order: SignalOrder): TaskStatus {
    return this.#orders.signal(id, order);
  }

  postMortems(id: string): RunEnd[] {
    const files = this.#files(this.#sitter(id).id);
    return files.runs().flatMap((run) => files.end(run) ?? []);
  }

  /** One stream of the log of a task; see `logs`. */
  log(name: string, stream: 'stdout' | 'stderr'): LogSource & { id: string; runs: number[] } {
    const logs = this.logs(name);
    return { id: logs.id, runs: logs.runs, ...logs.source(stream) };
  }

  /** The logs of a task by its id, or by its job's name where only one copy of that runs here. */
  logs(name: string): TaskLogs {
    const sitter = this.#sitters.get(name) ?? oneOfJob(name, [...this.#sitters.values()]);
    return new TaskLogs(sitter, this.#files(sitter.id), this.#logKeeper);
  }

  onChange(listener: (change: MachineChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #forget(sitter: TaskSitter): Promise<void> {
    await this.#files(sitter.id).remove();
    this.#sitters.delete(sitter.id);
    sitter.ring();
    this.#addEvent({
      level: 'info',
      kind: 'task-removed',
      message: `${sitter.id} was removed`,
      job: sitter.definition.job,
      copy: sitter.id,
    });
    for (const listener of this.#listeners) listener({ kind: 'task-gone', id: sitter.id });
  }

  #sitter(id: string): TaskSitter {
    const sitter = this.#sitters.get(id);
    if (sitter) return sitter;
    throw new CerebroError(
      'not_found',
      `there is no task "${id}" on this machine${didYouMean(id, this.#sitters.keys())}`,
    );
  }

  get #tasksFolder(): string {
    return join(this.#deps.dataDir, 'tasks');
  }

  #files(id: string): TaskFiles {
    return new TaskFiles(join(this.#tasksFolder, taskFolderName(id)));
  }

  async #load(folder: string): Promise<void> {
    try {
      const files = new TaskFiles(folder);
      if (files.isLeftOver()) return await files.discard();
      const file = files.load();
      this.#sitters.set(file.definition.id, this.#newSitter(file.definition, file));
    } catch (error) {
      this.#leaveAlone(folder, error);
    }
  }

  async #recover(sitter: TaskSitter): Promise<void> {
    try {
      await sitter.recover();
    } catch (error) {
      this.#sitters.delete(sitter.id);
      await sitter.stop();
      this.#leaveAlone(this.#files(sitter.id).folder, error);
    }
  }

  /** A task that is not known well enough to be supervised: whatever runs of it runs on, until somebody removes it. */
  #leaveAlone(folder: string, error: unknown): void {
    const sentence = shortly(messageOf(error));
    this.#damaged.add(folder, sentence);
    this.#deps.logger.error({ folder, err: error }, 'the files of a task cannot be read; the task is left alone');
    const message = `the files of a task in ${folder} cannot be read: ${sentence}`;
    this.#addEvent({ level: 'error', kind: 'task-damaged', message });
  }

  #newSitter(definition: TaskDefinition, state: ConstructorParameters<typeof TaskSitter>[2]): TaskSitter {
    const { enforcer, clock, logger, processes } = this.#deps;
    return new TaskSitter(
      {
        files: this.#files(definition.id),
        enforcer,
        clock,
        logger,
        processes,
        shims: this.#shims,
        logKeeper: this.#logKeeper,
        baseEnv: baseEnvironment(),
        collectStats: true,
        ownStreams: false,
        onChange: (sitter) => this.#changed(sitter),
        onEvent: (event) => this.#addEvent(event),
      },
      definition,
      state,
    );
  }

  #addEvent(event: NewEvent): void {
    this.events.add(event);
  }

  #changed(sitter: TaskSitter): void {
    sitter.ring();
    if (this.#listeners.size === 0) return;
    const change: MachineChange = { kind: 'task', task: sitter.status() };
    for (const listener of this.#listeners) listener(change);
  }

  #tick(): void {
    this.#vitals = this.#deps.clock.timer(VITALS_MS, () => {
      for (const sitter of this.#sitters.values()) {
        this.#holdToLeash(sitter);
        if (this.#listeners.size > 0 && sitter.phase === 'running') this.#changed(sitter);
      }
      this.#tick();
    });
  }

  /** Ends a task that may run elsewhere by now, for this machine has not heard from its cluster sitter for too long. */
  #holdToLeash(sitter: TaskSitter): void {
    const { leash } = sitter.definition;
    if (leash === null || this.#leash.silence() < leash) return;
    if (['stopped', 'stopping', 'exited', 'failed'].includes(sitter.phase)) return;
    const why = `nothing heard from the cluster sitter for ${leash} s: it may be started elsewhere, and must not run twice`;
    sitter.dispatch({ kind: 'stop', reason: 'leash', why });
  }
}

function shimEnvironment(tasksGroup: string | undefined): Record<string, string> {
  const env = baseEnvironment();
  return tasksGroup === undefined ? env : { ...env, [SHIM_GROUP]: shimGroupOf(tasksGroup) };
}

/** A parser's findings can be as long as the file. */
function shortly(sentence: string): string {
  const oneLine = sentence.replaceAll(/\s+/g, ' ');
  return oneLine.length > 300 ? `${oneLine.slice(0, 297)}...` : oneLine;
}

/** What every task may know of the host: never the daemon's own variables, where there may be credentials. */
export function baseEnvironment(): Record<string, string> {
  const env: Record<string, string> = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
  for (const name of ['PATH', 'LANG', 'LC_ALL', 'TZ', 'CEREBRO_MACHINE', 'CEREBRO_ADDRESS', 'CEREBRO_HOME']) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}
