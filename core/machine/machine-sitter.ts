import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Timer } from '../contracts/clock.ts';
import type { LimitEnforcer } from '../contracts/limit-enforcer.ts';
import type { Logger } from '../contracts/logger.ts';
import type { ProcessTable } from '../contracts/process-table.ts';
import { didYouMean } from '../decide/nearest-names.ts';
import { changeOf, eventOfOrder, type OrderChange } from '../decide/order-task.ts';
import { newTaskLife, type TaskEvent } from '../decide/task-life.ts';
import { CerebroError, messageOf } from '../errors.ts';
import type { MachineCapacity, Room } from '../model/capacity.ts';
import type { NewEvent } from '../model/event.ts';
import type { RunEnd, TaskDefinition, TaskStatus } from '../model/task.ts';
import { capacityOf, checkFits } from './capacity.ts';
import { DamagedTasks } from './damaged-tasks.ts';
import { EventLog } from './event-log.ts';
import { checkRevision, type ExpectedRevision } from './expected-revision.ts';
import { HeardEpoch } from './heard-epoch.ts';
import { Leash } from './leash.ts';
import type { LogSource } from './log-file.ts';
import { LogKeeper } from './log-keeper.ts';
import { Shims } from './shim.ts';
import { makeShimGroup, SHIM_GROUP, shimGroupOf } from './shim-group.ts';
import { TaskFiles, taskFolderName } from './task-files.ts';
import { oneOfJob, TaskLogs } from './task-logs.ts';
import { TaskSitter } from './task-sitter.ts';
import { taskUser } from './task-user.ts';

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
  /** Keeps the kernel from choosing the daemon first when memory is short; tasks are not to inherit that. */
  oomShield?: { readonly tasksScore: number | null };
}

export type MachineChange = { kind: 'task'; task: TaskStatus } | { kind: 'task-gone'; id: string };

/** How often usage figures are passed on to whoever watches. */
const VITALS_MS = 2000;

/** All the tasks of one machine: their definitions on disk, their sitters, their logs and events. */
export class MachineSitter {
  readonly events: EventLog;
  readonly #deps: MachineSitterDeps;
  readonly #sitters = new Map<string, TaskSitter>();
  readonly #removing = new Map<string, Promise<void>>();
  readonly #listeners = new Set<(change: MachineChange) => void>();
  readonly #damaged: DamagedTasks;
  readonly #epoch: HeardEpoch;
  readonly #shims: Shims;
  readonly #logKeeper: LogKeeper;
  #vitals: Timer | null = null;
  readonly #leash: Leash;
  #suspended = false;

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
      oomScore: () => deps.oomShield?.tasksScore ?? null,
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
    for (const name of readdirSync(folder)) this.#load(join(folder, name));
    await Promise.all([...this.#sitters.values()].map((sitter) => this.#recover(sitter)));
    this.#tick();
  }

  /** Lets go of all tasks; they run on. */
  async stop(): Promise<void> {
    this.#vitals?.cancel();
    this.#vitals = null;
    await Promise.all([...this.#sitters.values()].map((sitter) => sitter.stop()));
    await this.#logKeeper.stop();
    this.#shims.stop();
  }

  /** Ends all tasks in order, to be started again by the next start. */
  async suspend(): Promise<void> {
    this.#suspended = true;
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
    const { offered } = this.#deps;
    return offered === undefined ? null : capacityOf(offered, this.#takers());
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
  async put(
    definition: TaskDefinition,
    options: { start: boolean; expected?: ExpectedRevision | undefined },
  ): Promise<TaskStatus> {
    this.#refuseWhileSuspended();
    await this.#removing.get(definition.id);
    // From here on without a pause: nothing can come between what is checked and what is done.
    const known = this.#sitters.get(definition.id);
    checkRevision(options.expected, definition.id, known?.revision ?? null);
    const { event, change } = this.check(definition, options.start);
    if (known && change === 'same' && event === null) return known.status();
    const sitter = known ?? this.#newSitter(definition, null);
    sitter.order(definition, event);
    this.#sitters.set(definition.id, sitter);
    this.#changed(sitter);
    return sitter.status();
  }

  /** What `put` would do. Throws what it would throw for the definition; `others`: tasks that will be gone, or there, by then. */
  check(
    definition: TaskDefinition,
    start: boolean,
    others: { without: ReadonlySet<string>; beside: readonly TaskDefinition[] } = { without: new Set(), beside: [] },
  ): { event: TaskEvent | null; change: OrderChange; takesRoom: boolean } {
    const known = this.#sitters.get(definition.id);
    taskUser(definition.configuration.uid);
    this.#damaged.refuse(definition.id);
    const change = known ? changeOf(known.definition, definition) : 'new';
    const life = known?.life ?? newTaskLife(this.#deps.clock.now());
    const starts = start || (!known && definition.configuration.auto_start);
    const event = eventOfOrder(life, { change, start: starts, version: definition.version });
    const takesRoom = event !== null || known?.takesRoom === true;
    if (takesRoom && (event !== null || change !== 'same'))
      this.#checkFits(definition, new Set([...others.without, definition.id]), others.beside);
    return { event, change, takesRoom };
  }

  /** Ends the task in order and forgets it, with its logs. Removing what is not there is fine, unless it was `expected`. */
  async remove(id: string, expected?: ExpectedRevision): Promise<void> {
    const sitter = this.#sitters.get(id);
    checkRevision(expected, id, sitter?.revision ?? null);
    if (!sitter) {
      if (this.#damaged.has(id)) await this.#damaged.remove(id);
      return;
    }
    let removal = this.#removing.get(id);
    if (!removal) {
      removal = this.#remove(sitter).finally(() => this.#removing.delete(id));
      this.#removing.set(id, removal);
    }
    await removal;
  }

  act(id: string, action: 'start' | 'stop' | 'restart', by: string, expected?: ExpectedRevision): TaskStatus {
    const sitter = this.#commanded(id, expected);
    const why = `${action === 'stop' ? 'stopped' : `${action}ed`} by ${by}`;
    if (action !== 'stop' && !sitter.takesRoom) this.#checkFits(sitter.definition, new Set([id]));
    if (action === 'start') sitter.dispatch({ kind: 'start', why });
    else if (action === 'stop') sitter.dispatch({ kind: 'stop', reason: 'user', why });
    else sitter.dispatch({ kind: 'restart', reason: 'user', why });
    return sitter.status();
  }

  /** Sends a signal to a task's own process, or to all of its processes. Throws `conflict` when it does not run. */
  signal(
    id: string,
    order: { signal: NodeJS.Signals; to: 'leader' | 'all'; by: string; expected?: ExpectedRevision | undefined },
  ): TaskStatus {
    const sitter = this.#commanded(id, order.expected);
    const runs = sitter.held() !== null;
    if (runs && order.to === 'all') sitter.signal(order.signal);
    if (!runs || (order.to === 'leader' && !sitter.signalLeader(order.signal)))
      throw new CerebroError('conflict', `"${id}" does not run; it is ${sitter.phase}: ${sitter.life.reason}`);
    const message = `${order.signal} was sent to ${id}${order.to === 'all' ? ', all its processes,' : ''} by ${order.by}`;
    this.#addEvent({ level: 'info', kind: 'task-signal', message, job: sitter.definition.job, copy: id, by: order.by });
    return sitter.status();
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

  async #remove(sitter: TaskSitter): Promise<void> {
    sitter.dispatch({ kind: 'stop', reason: 'user', why: 'removed' });
    await sitter.atRest();
    // The daemon is ending, and has let go of a task that still runs: with its files the next one would lose it.
    if (sitter.letGo) throw new CerebroError('unavailable', `"${sitter.id}" was not removed: the daemon is ending`);
    await sitter.stop();
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

  /** The task that a command is for. Throws when it is not there, is being removed, or is not as the caller believes. */
  #commanded(id: string, expected: ExpectedRevision | undefined): TaskSitter {
    this.#refuseWhileSuspended();
    if (this.#removing.has(id)) throw new CerebroError('conflict', `"${id}" is being removed`);
    const sitter = this.#sitter(id);
    checkRevision(expected, id, sitter.revision);
    return sitter;
  }

  #checkFits(definition: TaskDefinition, without: ReadonlySet<string>, beside: readonly TaskDefinition[] = []): void {
    const { offered } = this.#deps;
    if (offered !== undefined) checkFits(offered, definition, [...this.#takers(without), ...beside]);
  }

  /** Whoever reserves room. */
  *#takers(without: ReadonlySet<string> = new Set()): Generator<TaskDefinition> {
    for (const sitter of this.#sitters.values())
      if (sitter.takesRoom && !without.has(sitter.id)) yield sitter.definition;
  }

  get #tasksFolder(): string {
    return join(this.#deps.dataDir, 'tasks');
  }

  #files(id: string): TaskFiles {
    return new TaskFiles(join(this.#tasksFolder, taskFolderName(id)));
  }

  #load(folder: string): void {
    try {
      const file = new TaskFiles(folder).load();
      this.#sitters.set(file.definition.id, this.#newSitter(file.definition, file));
    } catch (error) {
      this.#damaged.add(folder, shortly(messageOf(error)));
      this.#deps.logger.error({ folder, err: error }, 'the files of a task cannot be read; the task is left alone');
      this.#addEvent({
        level: 'error',
        kind: 'task-damaged',
        message: `the files of a task in ${folder} cannot be read: ${shortly(messageOf(error))}`,
      });
    }
  }

  async #recover(sitter: TaskSitter): Promise<void> {
    try {
      await sitter.recover();
    } catch (error) {
      this.#deps.logger.error({ task: sitter.id, err: error }, 'a task could not be taken up again');
      this.#addEvent({
        level: 'error',
        kind: 'task-damaged',
        message: `${sitter.id} could not be taken up again: ${messageOf(error)}`,
        copy: sitter.id,
      });
    }
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

  #refuseWhileSuspended(): void {
    if (this.#suspended)
      throw new CerebroError('unavailable', 'this machine is being stopped and takes no more orders');
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
  for (const name of ['PATH', 'LANG', 'LC_ALL', 'TZ', 'CEREBRO_MACHINE', 'CEREBRO_ADDRESS']) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}
