import type { Instance, MachineOrder } from '../../core/contracts/machine-provider.ts';
import { CerebroError } from '../../core/errors.ts';
import type { MachineType } from '../../core/model/plan.ts';
import type { SeededRandom } from './seeded-random.ts';
import { SimulatedMachine } from './simulated-machine.ts';
import type { SimulatedTask } from './simulated-task.ts';
import type { World } from './world.ts';

/** Two of one region, whose copies share their pools, and one of another. */
export const ZONES = ['sim-1a', 'sim-1b', 'sim-2a'] as const;
export const TYPES: readonly MachineType[] = [
  { name: 'small', cpu: 2, mem: 4096, price: 1 },
  { name: 'large', cpu: 4, mem: 8192, price: 1.9 },
];

export interface CloudInstance extends Instance {
  type: MachineType;
  token: string;
  machine: SimulatedMachine;
  /** Not listed before: the lists of a large provider lag behind. */
  listedFrom: number;
  goneAt: number;
}

/** How long after its end an instance is still listed. */
const LISTED_GONE_MS = 60_000;

/** The world's machines: ours, and those of others in the same account, which are none of our business. */
export class Cloud {
  readonly instances: CloudInstance[] = [];
  /** Live instances that a zone can hold; what is beyond is refused. */
  readonly capacity = new Map<string, number>();
  /** The share of fresh instances that is not listed at first, and of those that never come up. */
  hidden = 0;
  stuck = 0;
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #listeners = new Set<() => void>();
  #serial = 1;

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random.fork('cloud');
    for (const zone of ZONES) this.#add({ ...FOREIGN, machineId: `${zone}-1`, zone }, 'running');
  }

  live(): CloudInstance[] {
    return this.instances.filter(({ state }) => state !== 'gone');
  }

  ofMachine(id: string): CloudInstance | undefined {
    return this.live().find((instance) => instance.machineId === id && !isForeign(instance));
  }

  /** The task of a copy, as it truly is on its machine. */
  task({ machine, id }: { machine: string; id: string }): SimulatedTask | undefined {
    return this.ofMachine(machine)?.machine.tasks.get(id);
  }

  /** The tasks of a job of which there is a process anywhere, in truth. */
  running(job: string): SimulatedTask[] {
    return this.instances.flatMap(({ machine }) =>
      [...machine.tasks.values()].filter((task) => task.definition.job === job && task.runs),
    );
  }

  /** Whether a machine's instance is there, in truth. */
  isThere(machine: string): boolean {
    const instance = this.ofMachine(machine);
    return instance !== undefined && instance.state !== 'stopped';
  }

  byEndpoint(endpoint: string): CloudInstance | undefined {
    return this.instances.find((instance) => instance.endpoint === endpoint);
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  create(order: MachineOrder): Instance {
    const known = this.instances.find((instance) => instance.intent === order.intent);
    if (known) return described(known);
    const inZone = this.live().filter(({ zone }) => zone === order.zone).length;
    if (inZone >= (this.capacity.get(order.zone) ?? Number.POSITIVE_INFINITY))
      throw new CerebroError('no_capacity', `${order.zone} has no capacity just now; try again later`);
    const instance = this.#add(order, 'pending');
    if (this.#random.chance(this.hidden))
      instance.listedFrom = this.#world.clock.now() + this.#random.between(1000, 15_000);
    if (this.#world.calm || !this.#random.chance(this.stuck))
      this.#world.after(this.#random.between(2000, 30_000), () => this.#boot(instance));
    return described(instance);
  }

  list(clusterId: string): Instance[] {
    const now = this.#world.clock.now();
    return this.instances
      .filter((instance) => instance.clusterId === clusterId && instance.listedFrom <= now)
      .filter(({ state, goneAt }) => state !== 'gone' || now - goneAt < LISTED_GONE_MS)
      .map(described);
  }

  /** As a provider would that finds a machine by its tag: what is not listed yet is not found. */
  destroy(clusterId: string, machineId: string): void {
    for (const { ref } of this.list(clusterId).filter((instance) => instance.machineId === machineId)) {
      const instance = this.instances.find((candidate) => candidate.ref === ref);
      if (instance) this.end(instance, 'gone');
    }
  }

  end(instance: CloudInstance, state: 'gone' | 'stopped'): void {
    if (instance.state === 'gone') return;
    instance.state = state;
    instance.goneAt = this.#world.clock.now();
    instance.machine.die(`${instance.machineId} (${instance.ref}) is ${state}`);
    this.#news();
  }

  #boot(instance: CloudInstance): void {
    if (instance.state !== 'pending') return;
    instance.state = 'running';
    const number = this.instances.indexOf(instance);
    instance.address = `10.0.${number >> 8}.${number & 255}`;
    instance.endpoint = `sim://${instance.ref}`;
    // Its sitter comes up a little later than the machine itself.
    this.#world.after(this.#random.between(100, 4000), () => {
      if (instance.state === 'running') instance.machine.comeUp('its sitter is up');
    });
    this.#news();
  }

  #add(order: MachineOrder, state: Instance['state']): CloudInstance {
    const { clusterId, machineId, zone, intent, type, token } = order;
    const ref = `i-${this.#serial++}`;
    const machine = new SimulatedMachine(this.#world, { id: machineId, ref, zone, token, type });
    const life = { state, address: null, endpoint: null, listedFrom: 0, goneAt: 0 };
    const instance: CloudInstance = { ref, clusterId, machineId, zone, intent, type, token, machine, ...life };
    this.instances.push(instance);
    return instance;
  }

  /** Sometimes the provider tells by itself, sometimes it has to be asked. */
  #news(): void {
    if (this.#random.chance(0.3)) for (const listener of this.#listeners) listener();
  }
}

/** Certificates are tested elsewhere: making real ones takes real time. */
export const NO_IDENTITY = { authority: 'none', certificate: 'none', key: 'none' };

const FOREIGN: Omit<MachineOrder, 'machineId' | 'zone'> = {
  clusterId: 'somebody else',
  type: { name: 'huge', cpu: 64, mem: 262_144 },
  intent: 'none of ours',
  token: 'none of ours',
  identity: NO_IDENTITY,
};

export function isForeign(instance: Pick<Instance, 'clusterId'>): boolean {
  return instance.clusterId === FOREIGN.clusterId;
}

function described(instance: CloudInstance): Instance {
  const { ref, clusterId, machineId, zone, intent, state, address, endpoint } = instance;
  return { ref, clusterId, machineId, zone, intent, state, address, endpoint };
}
