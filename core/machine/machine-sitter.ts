import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Timer } from '../contracts/clock.ts';
import type { LimitEnforcer } from '../contracts/limit-enforcer.ts';
import type { Logger } from '../contracts/logger.ts';
import type { ProcessTable } from '../contracts/process-table.ts';
import { didYouMean } from '../decide/nearest-names.ts';
import { CerebroError, messageOf } from '../errors.ts';
import type { NewEvent } from '../model/event.ts';
import { canonical } from '../model/job.ts';
import type { RunEnd, TaskDefinition, TaskStatus } from '../model/task.ts';
import { EventLog } from './event-log.ts';
import { Leash } from './leash.ts';
import type { LogSource } from './log-file.ts';
import { LogKeeper } from './log-keeper.ts';
import { Shims } from './shim.ts';
import { TaskFiles, taskFolderName } from './task-files.ts';
import { TaskSitter } from './task-sitter.ts';
import { taskUser } from './task-user.ts';

export interface MachineSitterDeps {
  dataDir: string;
  enforcer: LimitEnforcer;
  clock: Clock;
  logger: Logger;
  processes: ProcessTable;
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
  /** Tasks whose files cannot be read: reported, and the others run. */
  readonly #damaged = new Map<string, string>();
  readonly #shims: Shims;
  readonly #logKeeper: LogKeeper;
  #vitals: Timer | null = null;
  readonly #leash: Leash;
  #suspended = false;
  #epoch = 0;

  constructor(deps: MachineSitterDeps) {
    this.#deps = deps;
    this.#leash = new Leash(deps.processes);
    this.events = new EventLog(deps.dataDir, deps.clock, deps.logger);
    const { dataDir, clock, processes } = deps;
    this.#shims = new Shims({ folder: dataDir, env: baseEnvironment(), clock, processes });
    this.#logKeeper = new LogKeeper({
      clock,
      logger: deps.logger,
      onDiskFull: (message) => this.#addEvent({ level: 'error', kind: 'disk-full', message }),
    });
  }

  async start(): Promise<void> {
    const folder = this.#tasksFolder;
    mkdirSync(folder, { recursive: true, mode: 0o750 });
    this.#shims.start();
    this.events.load();
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

  /**
   * Refuses commands of a cluster sitter that has been succeeded: its epoch is older than one that was heard here.
   * A caller without an epoch is a person with the machine's token.
   */
  checkEpoch(epoch: number | null): void {
    if (epoch === null) return;
    // Whatever it is about, it is a word from the cluster sitter.
    if (epoch >= this.#epoch) this.#leash.heard();
    if (epoch < this.#epoch) {
      throw new CerebroError(
        'forbidden',
        `this command is of epoch ${epoch}, but epoch ${this.#epoch} leads by now; nothing was done`,
      );
    }
    this.#epoch = epoch;
  }

  tasks(): TaskStatus[] {
    return [...this.#sitters.values()].map((sitter) => sitter.status());
  }

  damaged(): ReadonlyMap<string, string> {
    return this.#damaged;
  }

  task(id: string): TaskStatus {
    return this.#sitter(id).status();
  }

  /**
   * Makes the machine have this task. Adding what is there already changes nothing; a changed definition is a new revision,
   * and restarts the task if it runs. Throws `invalid` for what cannot run here.
   */
  async put(definition: TaskDefinition, options: { start: boolean }): Promise<TaskStatus> {
    this.#refuseWhileSuspended();
    taskUser(definition.configuration.uid);
    await this.#removing.get(definition.id);
    const known = this.#sitters.get(definition.id);
    if (!known) {
      const sitter = this.#newSitter(definition, null);
      sitter.save();
      this.#sitters.set(definition.id, sitter);
      if (options.start || definition.configuration.auto_start) sitter.dispatch({ kind: 'start', why: 'added' });
      else this.#changed(sitter);
      return sitter.status();
    }
    let runsOther = false;
    if (canonical(known.definition) !== canonical(definition)) {
      runsOther =
        canonical(known.definition.configuration) !== canonical(definition.configuration) ||
        known.definition.version !== definition.version ||
        known.definition.generation !== definition.generation;
      known.redefine(definition);
      if (runsOther && !['stopped', 'exited', 'failed'].includes(known.phase)) {
        known.dispatch({ kind: 'restart', reason: 'deploy', why: `changed to version ${definition.version}` });
      }
    }
    if (options.start && (['stopped', 'failed'].includes(known.phase) || (runsOther && known.phase === 'exited')))
      known.dispatch({ kind: 'start', why: 'started again' });
    return known.status();
  }

  /** Ends the task in order and forgets it, with its logs. Removing what is not there is fine. */
  async remove(id: string): Promise<void> {
    const sitter = this.#sitters.get(id);
    if (!sitter) return;
    let removal = this.#removing.get(id);
    if (!removal) {
      removal = this.#remove(sitter).finally(() => this.#removing.delete(id));
      this.#removing.set(id, removal);
    }
    await removal;
  }

  act(id: string, action: 'start' | 'stop' | 'restart', by: string): TaskStatus {
    this.#refuseWhileSuspended();
    if (this.#removing.has(id)) throw new CerebroError('conflict', `"${id}" is being removed`);
    const sitter = this.#sitter(id);
    const why = `${action === 'stop' ? 'stopped' : `${action}ed`} by ${by}`;
    if (action === 'start') sitter.dispatch({ kind: 'start', why });
    else if (action === 'stop') sitter.dispatch({ kind: 'stop', reason: 'user', why });
    else sitter.dispatch({ kind: 'restart', reason: 'user', why });
    return sitter.status();
  }

  postMortems(id: string): RunEnd[] {
    const files = this.#files(this.#sitter(id).id);
    return files.runs().flatMap((run) => files.end(run) ?? []);
  }

  /** The log of a task by its id, or by its job's name where only one copy of that runs here. */
  log(name: string, stream: 'stdout' | 'stderr'): LogSource & { id: string; runs: number[] } {
    const sitter = this.#sitters.get(name) ?? this.#byJob(name);
    const files = this.#files(sitter.id);
    return {
      id: sitter.id,
      runs: files.runs(),
      log: (run) => {
        const place = files.logPlace(run, stream);
        return place && this.#logKeeper.log(place);
      },
      newestRun: () => sitter.run,
      onChange: (listener) =>
        this.onChange((change) => (change.kind === 'task' ? change.task.id : change.id) === sitter.id && listener()),
    };
  }

  onChange(listener: (change: MachineChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #remove(sitter: TaskSitter): Promise<void> {
    sitter.dispatch({ kind: 'stop', reason: 'user', why: 'removed' });
    await sitter.atRest();
    await sitter.stop();
    await this.#files(sitter.id).remove();
    this.#sitters.delete(sitter.id);
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

  #byJob(name: string): TaskSitter {
    const copies = [...this.#sitters.values()].filter(
      (sitter) => sitter.definition.job === name || sitter.definition.configuration.name === name,
    );
    const [only, ...others] = copies;
    if (!only) {
      const known = new Set([...this.#sitters.values()].flatMap((sitter) => [sitter.id, sitter.definition.job]));
      throw new CerebroError('not_found', `there is no task "${name}" on this machine${didYouMean(name, known)}`);
    }
    if (others.length > 0) {
      throw new CerebroError(
        'ambiguous',
        `"${name}" has ${copies.length} copies here: say which, ${copies.map((copy) => copy.id).join(', ')}`,
      );
    }
    return only;
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
      this.#damaged.set(folder, messageOf(error));
      this.#deps.logger.error({ folder, err: error }, 'the files of a task cannot be read; the task is left alone');
      this.#addEvent({
        level: 'error',
        kind: 'task-damaged',
        message: `the files of a task in ${folder} cannot be read: ${messageOf(error)}`,
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

/** What every task may know of the host: never the daemon's own variables, where there may be credentials. */
export function baseEnvironment(): Record<string, string> {
  const env: Record<string, string> = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
  for (const name of ['PATH', 'LANG', 'LC_ALL', 'TZ', 'CEREBRO_MACHINE']) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}
