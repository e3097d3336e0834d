import type { Clock } from '../contracts/clock.ts';
import { changeOf, eventOfOrder, type OrderChange } from '../decide/task/order-task.ts';
import { newTaskLife, type TaskEvent } from '../decide/task/task-life.ts';
import { taskVariables } from '../decide/task/task-variables.ts';
import { CerebroError } from '../errors.ts';
import type { MachineCapacity, Room } from '../model/capacity.ts';
import type { NewEvent } from '../model/event.ts';
import type { TaskDefinition, TaskStatus } from '../model/task.ts';
import { capacityOf, checkFits } from './capacity.ts';
import { checkRevision, type ExpectedRevision } from './expected-revision.ts';
import type { DamagedTasks } from './records/damaged-tasks.ts';
import { taskUser } from './shim/task-user.ts';
import { Turns } from './shim/turns.ts';
import type { TaskSitter } from './task/task-sitter.ts';

export interface TaskOrdersDeps {
  /** The machine's tasks; an order for a new one adds it. */
  sitters: Map<string, TaskSitter>;
  damaged: DamagedTasks;
  /** absent: nobody counts. */
  offered: Room | undefined;
  clock: Clock;
  /** The sitter of a new task, which is in no list yet. */
  newSitter(definition: TaskDefinition): TaskSitter;
  /** Looks for a task, and throws `not_found` when there is none. */
  find(id: string): TaskSitter;
  /** Takes a task that is at rest out of the list, with its files. */
  forget(sitter: TaskSitter): Promise<void>;
  onChange(sitter: TaskSitter): void;
  onEvent(event: NewEvent): void;
}

export interface SignalOrder {
  signal: NodeJS.Signals;
  /** The task's own process, or every process of the run. */
  to: 'leader' | 'all';
  by: string;
  expected?: ExpectedRevision | undefined;
}

/** What may be ordered of a machine's tasks: each order is checked whole, and then done whole. */
export class TaskOrders {
  readonly #deps: TaskOrdersDeps;
  readonly #removing = new Map<string, Promise<void>>();
  readonly #turns = new Turns();
  #closed = false;

  constructor(deps: TaskOrdersDeps) {
    this.#deps = deps;
  }

  /** From now on every order is refused: the machine is being stopped. */
  close(): void {
    this.#closed = true;
  }

  /** What is offered and what of it is reserved; null where nobody counts. */
  capacity(): MachineCapacity | null {
    const { offered } = this.#deps;
    return offered === undefined ? null : capacityOf(offered, this.#takers());
  }

  /** See `MachineSitter.put`. */
  async put(
    definition: TaskDefinition,
    options: { start: boolean; expected?: ExpectedRevision | undefined },
  ): Promise<TaskStatus> {
    const { sitters, newSitter, onChange } = this.#deps;
    this.#refuseWhenClosed();
    await this.#turns.next();
    await this.#removing.get(definition.id);
    // From here on without a pause: nothing can come between what is checked and what is done.
    const known = sitters.get(definition.id);
    checkRevision(options.expected, definition.id, known?.revision ?? null);
    const { event, change } = this.check(definition, options.start);
    if (known && change === 'same' && event === null) return known.status();
    const sitter = known ?? newSitter(definition);
    sitter.order(definition, event);
    sitters.set(definition.id, sitter);
    onChange(sitter);
    return sitter.status();
  }

  /** What `put` would do. Throws what it would throw for the definition; `others`: tasks that will be gone, or there, by then. */
  check(
    definition: TaskDefinition,
    start: boolean,
    others: { without: ReadonlySet<string>; beside: readonly TaskDefinition[] } = { without: new Set(), beside: [] },
  ): { event: TaskEvent | null; change: OrderChange; takesRoom: boolean } {
    const { sitters, damaged, clock } = this.#deps;
    const known = sitters.get(definition.id);
    taskUser(definition.configuration.uid);
    taskVariables(definition);
    damaged.refuse(definition.id);
    const change = known ? changeOf(known.definition, definition) : 'new';
    const life = known?.life ?? newTaskLife(clock.now());
    const starts = start || (!known && definition.configuration.auto_start);
    const { version, generation } = definition;
    const sameVersion = known?.definition.version === version && known.definition.generation !== generation;
    const event = eventOfOrder(life, { change, start: starts, version, sameVersion });
    const takesRoom = event !== null || known?.takesRoom === true;
    if (takesRoom && (event !== null || change !== 'same'))
      this.#checkFits(definition, new Set([...others.without, definition.id]), others.beside);
    return { event, change, takesRoom };
  }

  /** Ends the task in order and forgets it, with its logs; false: it was not there, which is fine unless it was `expected`. */
  async remove(id: string, expected?: ExpectedRevision): Promise<boolean> {
    const { sitters, damaged } = this.#deps;
    const sitter = sitters.get(id);
    checkRevision(expected, id, sitter?.revision ?? null);
    if (!sitter) {
      if (!damaged.has(id)) return false;
      await damaged.remove(id);
      return true;
    }
    let removal = this.#removing.get(id);
    if (!removal) {
      removal = this.#remove(sitter).finally(() => this.#removing.delete(id));
      this.#removing.set(id, removal);
    }
    await removal;
    return true;
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

  /** Throws `conflict` when the task does not run. */
  signal(id: string, { signal, to, by, expected }: SignalOrder): TaskStatus {
    const sitter = this.#commanded(id, expected);
    const runs = sitter.held() !== null;
    if (runs && to === 'all') sitter.signal(signal);
    if (!runs || (to === 'leader' && !sitter.signalLeader(signal)))
      throw new CerebroError('conflict', `"${id}" does not run; it is ${sitter.phase}: ${sitter.life.reason}`);
    const message = `${signal} was sent to ${id}${to === 'all' ? ', all its processes,' : ''} by ${by}`;
    this.#deps.onEvent({ level: 'info', kind: 'task-signal', message, job: sitter.definition.job, copy: id, by });
    return sitter.status();
  }

  async #remove(sitter: TaskSitter): Promise<void> {
    sitter.dispatch({ kind: 'stop', reason: 'user', why: 'removed' });
    await sitter.atRest();
    // The daemon is ending, and has let go of a task that still runs: with its files the next one would lose it.
    if (sitter.letGo) throw new CerebroError('unavailable', `"${sitter.id}" was not removed: the daemon is ending`);
    await sitter.stop();
    await this.#deps.forget(sitter);
  }

  /** The task that a command is for. Throws when it is not there, is being removed, or is not as the caller believes. */
  #commanded(id: string, expected: ExpectedRevision | undefined): TaskSitter {
    this.#refuseWhenClosed();
    if (this.#removing.has(id)) throw new CerebroError('conflict', `"${id}" is being removed`);
    const sitter = this.#deps.find(id);
    checkRevision(expected, id, sitter.revision);
    return sitter;
  }

  #checkFits(definition: TaskDefinition, without: ReadonlySet<string>, beside: readonly TaskDefinition[] = []): void {
    const { offered } = this.#deps;
    if (offered !== undefined) checkFits(offered, definition, [...this.#takers(without), ...beside]);
  }

  /** Whoever reserves room. */
  *#takers(without: ReadonlySet<string> = new Set()): Generator<TaskDefinition> {
    for (const sitter of this.#deps.sitters.values())
      if (sitter.takesRoom && !without.has(sitter.id)) yield sitter.definition;
  }

  #refuseWhenClosed(): void {
    if (this.#closed) throw new CerebroError('unavailable', 'this machine is being stopped and takes no more orders');
  }
}
