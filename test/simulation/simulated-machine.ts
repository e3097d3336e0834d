import { CerebroError } from '../../core/errors.ts';
import { OrderOfOrders } from '../../core/machine/records/order-of-orders.ts';
import type { ClusterEvent } from '../../core/model/event.ts';
import { canonical } from '../../core/model/job.ts';
import { BEAT_MS, type MachineMessage } from '../../core/model/machine-stream.ts';
import type { MachineType } from '../../core/model/plan.ts';
import type { TaskDefinition, TaskStatus } from '../../core/model/task.ts';
import type { SeededRandom } from './seeded-random.ts';
import { SimulatedTask } from './simulated-task.ts';
import type { World } from './world.ts';

export interface Command {
  token: string;
  /** The epoch that the command says it is of, and the one that its sender really has. */
  epoch: number;
  serial: number;
  trueEpoch: number;
}

/** The other end of a line: what a machine says goes there until either is gone. */
export interface Listener {
  say(message: MachineMessage): void;
  /** The connection is reset. */
  hangUp(): void;
}

/** How often a machine looks whether it has been out of touch for too long. */
const LEASH_LOOK_MS = 2000;

/** What makes a task restart when it is put again. */
function runKey({ configuration, version, generation }: TaskDefinition): string {
  return canonical({ configuration, version, generation });
}

interface About {
  id: string;
  ref: string;
  zone: string;
  token: string;
  type: MachineType;
}

/** A machine and the sitter on it, as the cluster sitter meets them. */
export class SimulatedMachine {
  readonly about: About;
  readonly tasks = new Map<string, SimulatedTask>();
  /** Its sitter answers. */
  up = false;
  /** It has power, so that who knocks at least hears that nobody opens. */
  powered = true;
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #listeners = new Set<Listener>();
  readonly #orders = new OrderOfOrders();
  readonly #removing = new Map<string, Promise<void>>();
  readonly #events: ClusterEvent[] = [];
  /** Tasks that were wanted when the machine went down; they start when it comes up. */
  readonly #fallen = new Set<string>();
  #dead = false;
  /** The newest epoch that it was told, and the newest that it really obeyed. */
  #epoch = 0;
  #trueEpoch = 0;
  /** When it last had a word from the cluster sitter. */
  #heardAt = 0;
  #leashed = false;

  constructor(world: World, about: About) {
    this.#world = world;
    this.about = about;
    this.#random = world.random.fork(`machine ${about.ref}`);
  }

  // --- its life ---

  comeUp(why: string): void {
    if (this.#dead || this.up) return;
    this.up = true;
    this.powered = true;
    this.#heardAt = this.#world.clock.now();
    this.#world.tell(`${this.#name}: ${why}`);
    for (const task of this.tasks.values()) task.rise();
    for (const id of this.#fallen) this.tasks.get(id)?.start('started with its machine');
    this.#fallen.clear();
  }

  /** The sitter's process ends; tasks run on, and are taken up again. */
  sitterDown(): void {
    if (!this.up) return;
    this.up = false;
    this.#world.tell(`${this.#name}: its sitter is down`);
    for (const listener of [...this.#listeners]) listener.hangUp();
    this.#listeners.clear();
  }

  /** The power goes, without a word to anybody; its tasks are to start when it comes back. */
  powerDown(): void {
    if (!this.powered) return;
    this.up = false;
    this.powered = false;
    this.#world.tell(`${this.#name}: the machine is down`);
    this.#listeners.clear();
    for (const [id, task] of [...this.tasks]) if (task.fall()) this.#fallen.add(id);
  }

  /** For ever. */
  die(why: string): void {
    this.powerDown();
    this.#dead = true;
    this.#fallen.clear();
    this.#world.tell(why);
  }

  // --- its API ---

  put(definition: TaskDefinition, command: Command): TaskStatus {
    this.#obey(command);
    this.#orders.put(definition.id, command);
    if (definition.leash !== null && !this.#leashed) this.#world.after(0, () => this.#holdToLeash());
    const known = this.tasks.get(definition.id);
    if (!known || this.#removing.has(definition.id)) {
      if (known) throw new CerebroError('unavailable', `"${definition.id}" is just being removed`);
      const task: SimulatedTask = new SimulatedTask(this.#world, this.#random.fork(definition.id), definition, () =>
        this.#tell(task),
      );
      this.tasks.set(definition.id, task);
      this.#event(`${definition.id} was added`);
      task.start('added');
      return task.status();
    }
    const other = runKey(known.definition) !== runKey(definition);
    if (other) known.definition = definition;
    if (other && (known.runs || known.phase === 'backoff')) known.restart(`changed to version ${definition.version}`);
    else if (known.phase === 'stopped' || known.phase === 'failed' || (other && known.phase === 'exited'))
      known.start('started again');
    return known.status();
  }

  /** Resolves when nothing of the task runs any more. */
  async remove(id: string, command: Command): Promise<void> {
    this.#obey(command);
    this.#orders.remove(id, command);
    const task = this.tasks.get(id);
    if (!task) return;
    let removal = this.#removing.get(id);
    if (!removal) {
      removal = new Promise<void>((resolve) => task.stop('removed', () => resolve()));
      removal = removal.then(() => this.#forget(id));
      this.#removing.set(id, removal);
    }
    await removal;
  }

  /** A word of the cluster sitter: tasks on a leash may go on. */
  hear(command: Command): void {
    this.#obey(command);
  }

  /** Says everything, then every change, until the returned function is called. */
  listen(listener: Listener, since: number, token: string): () => void {
    this.#answer(token);
    listener.say({ type: 'hello', enforcer: 'sim', tasks: [...this.tasks.values()].map((task) => task.status()) });
    for (const event of this.#events) if (event.seq > since) listener.say({ type: 'event', event });
    this.#listeners.add(listener);
    const beat = (): void => {
      if (!this.#listeners.has(listener)) return;
      listener.say({ type: 'beat' });
      this.#world.after(BEAT_MS, beat);
    };
    this.#world.after(this.#random.between(1, BEAT_MS), beat);
    return () => this.#listeners.delete(listener);
  }

  #obey({ token, epoch, trueEpoch }: Command): void {
    this.#answer(token);
    if (epoch < this.#epoch)
      throw new CerebroError('forbidden', `this command is of epoch ${epoch}, but epoch ${this.#epoch} leads by now`);
    this.#epoch = epoch;
    this.#heardAt = this.#world.clock.now();
    if (trueEpoch < this.#trueEpoch)
      this.#world.violate(
        'no command of an older epoch is obeyed',
        `${this.#name} obeyed a cluster sitter of epoch ${trueEpoch} after one of epoch ${this.#trueEpoch}`,
      );
    this.#trueEpoch = Math.max(this.#trueEpoch, trueEpoch);
  }

  /** Ends tasks that may run elsewhere by now, for as long as there are any. */
  #holdToLeash(): void {
    const leashed = [...this.tasks.values()].filter(({ definition }) => definition.leash !== null);
    this.#leashed = leashed.length > 0;
    if (!this.#leashed) return;
    const silence = this.#world.clock.now() - this.#heardAt;
    for (const task of this.up ? leashed : [])
      if (silence >= (task.definition.leash ?? 0) * 1000 && (task.runs || task.phase === 'backoff'))
        task.stop('nothing heard from the cluster sitter');
    this.#world.after(LEASH_LOOK_MS, () => this.#holdToLeash());
  }

  #answer(token: string): void {
    if (!this.up) throw new CerebroError('unavailable', `${this.about.id} does not answer: the connection was refused`);
    if (token !== this.about.token) throw new CerebroError('unauthorized', `${this.about.id} does not know this token`);
  }

  #forget(id: string): void {
    this.#removing.delete(id);
    this.#fallen.delete(id);
    // It was stopped, so nothing that it still waits for can start it.
    this.tasks.get(id)?.fall();
    this.tasks.delete(id);
    this.#event(`${id} was removed`);
    for (const listener of this.#listeners) listener.say({ type: 'task-gone', id });
  }

  #tell(task: SimulatedTask): void {
    if (this.#listeners.size === 0) return;
    const status = task.status();
    for (const listener of this.#listeners) listener.say({ type: 'task', task: status });
  }

  #event(message: string): void {
    const at = new Date(this.#world.clock.now()).toISOString();
    const event: ClusterEvent = { seq: this.#events.length + 1, at, kind: 'task', level: 'info', message };
    this.#events.push(event);
    for (const listener of this.#listeners) listener.say({ type: 'event', event });
  }

  get #name(): string {
    return `${this.about.id} (${this.about.ref})`;
  }
}
