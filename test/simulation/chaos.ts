import { type Cloud, type CloudInstance, isForeign, ZONES } from './cloud.ts';
import { NameMishaps } from './name-mishaps.ts';
import type { NameZones } from './name-zones.ts';
import type { Network } from './network.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SitterProcess } from './sitter-process.ts';
import { type CallFaults, NO_FAULTS, type World } from './world.ts';

export interface ChaosParts {
  world: World;
  cloud: Cloud;
  network: Network;
  zones: NameZones;
  /** The names that stand on record. */
  names(): string[];
  /** The process that was started last, if it lives. */
  current(): SitterProcess | null;
  /** Starts another cluster sitter beside the one that is frozen. */
  succeed(): void;
  /** Stops the cluster sitter in order. */
  stopInOrder(): void;
}

type Mishap = (this: Chaos) => void;

/**
 * Everything that can go wrong in the world, at random times. Each life has its own choice of mishaps: where all happen at once,
 * the rare courses of things that only two of them together make would drown.
 */
export class Chaos {
  readonly #parts: ChaosParts;
  readonly #random: SeededRandom;
  readonly #mishaps: Mishap[];
  readonly #names: NameMishaps;

  constructor(parts: ChaosParts) {
    this.#parts = parts;
    this.#random = parts.world.random.fork('chaos');
    this.#names = new NameMishaps(parts);
    this.#mishaps = MISHAPS.filter(() => this.#random.chance(0.4));
  }

  begin(): void {
    const { world, cloud } = this.#parts;
    const random = this.#random;
    const names = this.#mishaps.map((mishap) => mishap.name).join(', ') || 'none';
    world.tell(`the mishaps of this life: ${names}`);
    if (random.chance(0.6)) {
      world.faults = {
        store: this.#faults('store', 0.02),
        provider: this.#faults('provider', 0.1),
        machine: this.#faults('machine', 0.06),
        dns: this.#faults('dns', 0.1),
      };
      cloud.hidden = random.chance(0.5) ? 0.4 : 0;
      cloud.stuck = random.chance(0.5) ? 0.15 : 0;
    }
    if (this.#mishaps.length === 0) return;
    const next = (): void => {
      if (world.calm) return;
      random.pick(this.#mishaps).call(this);
      world.after(random.between(500, 25_000), next);
    };
    world.after(random.between(1000, 20_000), next);
  }

  /** Mends everything that does not mend by itself. */
  end(): void {
    const { world, cloud, network } = this.#parts;
    world.calm = true;
    world.tell('calm: no faults from here on');
    world.faults = { store: NO_FAULTS, provider: NO_FAULTS, machine: NO_FAULTS, dns: NO_FAULTS };
    cloud.hidden = 0;
    cloud.stuck = 0;
    cloud.capacity.clear();
    network.healAll();
    this.#names.end();
    for (const { state, machine } of cloud.instances) {
      if (state === 'running')
        world.after(this.#random.between(100, 15_000), () => machine.comeUp('its machine is back'));
    }
  }

  crashNow(): void {
    this.#parts.current()?.end('crashes');
  }

  crashAtSomeCall(): void {
    const when = this.#random.chance(0.5) ? 'before' : 'after';
    this.#parts.current()?.crashAtCall({ calls: this.#random.int(1, 12), when });
  }

  stopInOrder(): void {
    this.#parts.stopInOrder();
  }

  freeze(): void {
    const process = this.#parts.current();
    process?.freeze();
    this.#parts.world.after(this.#random.between(500, 60_000), () => process?.thaw());
  }

  /** Somebody else leads while it is frozen; when it thaws it does not know. */
  freezeAndSucceed(): void {
    const process = this.#parts.current();
    if (!process || process.frozen) return;
    const { world } = this.#parts;
    process.freeze();
    world.after(this.#random.between(100, 20_000), () => {
      if (this.#parts.current() === process && process.frozen && !world.calm) this.#parts.succeed();
    });
    const thawed = this.#random.between(5000, 40_000);
    world.after(thawed, () => process.thaw());
    world.after(thawed + this.#random.between(1000, 30_000), () => {
      if (!process.leads) process.end('notices that it does not lead any more, and ends');
    });
  }

  cutMachine(): void {
    const instance = this.#someMachine();
    if (instance)
      this.#parts.network.cut({ kind: 'machine', id: instance.machineId }, this.#random.between(1000, 90_000));
  }

  cutZone(): void {
    this.#parts.network.cut({ kind: 'zone', zone: this.#random.pick(ZONES) }, this.#random.between(1000, 90_000));
  }

  cutAll(): void {
    const kind = this.#random.pick(['machines', 'sitter'] as const);
    this.#parts.network.cut({ kind }, this.#random.between(1000, 90_000));
  }

  loseMachine(): void {
    const instance = this.#someMachine();
    if (instance) this.#parts.cloud.end(instance, this.#random.chance(0.7) ? 'gone' : 'stopped');
  }

  powerOff(): void {
    const machine = this.#someMachine()?.machine;
    machine?.powerDown();
    if (machine)
      this.#parts.world.after(this.#random.between(5000, 120_000), () => machine.comeUp('the machine is back'));
  }

  restartMachineSitter(): void {
    const machine = this.#someMachine()?.machine;
    machine?.sitterDown();
    if (machine) this.#parts.world.after(this.#random.between(200, 8000), () => machine.comeUp('its sitter is back'));
  }

  crashTasks(): void {
    const machine = this.#someMachine()?.machine;
    for (const task of machine?.tasks.values() ?? []) if (this.#random.chance(0.5)) task.crash('it crashed');
  }

  sellOut(): void {
    const { cloud, world } = this.#parts;
    const zone = this.#random.pick(ZONES);
    cloud.capacity.set(zone, this.#random.int(0, 3));
    world.tell(`${zone} is nearly sold out`);
    world.after(this.#random.between(5000, 90_000), () => cloud.capacity.delete(zone));
  }

  crashAtNameCall(): void {
    const when = this.#random.chance(0.5) ? 'before' : 'after';
    this.#parts.current()?.crashAtCall({ calls: this.#random.int(1, 3), when, of: 'dns' });
  }

  troubleZone(): void {
    this.#names.troubleZone();
  }

  interfere(): void {
    this.#names.interfere();
  }

  storm(): void {
    const { world } = this.#parts;
    const kind = this.#random.pick(['store', 'provider', 'machine', 'dns'] as const);
    const before = world.faults[kind];
    world.faults = { ...world.faults, [kind]: this.#faults(kind, 0.5) };
    world.tell(`calls to ${kind} go wrong`);
    world.after(this.#random.between(1000, 20_000), () => {
      if (!world.calm) world.faults = { ...world.faults, [kind]: before };
    });
  }

  #faults(kind: keyof World['faults'], most: number): CallFaults {
    const share = (): number => (this.#random.chance(0.5) ? this.#random.next() * most : 0);
    const [refused, lostAnswer, late, twice] = [share(), share(), share(), share()];
    const slowMs = this.#random.pick([20, 200, 2000]);
    // What a store has refused it does not do later, and it does nothing twice: that is its contract.
    return kind === 'store'
      ? { refused, lostAnswer, late: 0, twice: 0, slowMs }
      : { refused, lostAnswer, late, twice, slowMs };
  }

  #someMachine(): CloudInstance | undefined {
    const up = this.#parts.cloud.instances.filter((instance) => instance.state === 'running' && !isForeign(instance));
    return up.length === 0 ? undefined : this.#random.pick(up);
  }
}

const MISHAPS: readonly Mishap[] = [
  Chaos.prototype.crashNow,
  Chaos.prototype.crashAtSomeCall,
  Chaos.prototype.crashAtSomeCall,
  Chaos.prototype.stopInOrder,
  Chaos.prototype.freeze,
  Chaos.prototype.freezeAndSucceed,
  Chaos.prototype.cutMachine,
  Chaos.prototype.cutZone,
  Chaos.prototype.cutAll,
  Chaos.prototype.loseMachine,
  Chaos.prototype.powerOff,
  Chaos.prototype.restartMachineSitter,
  Chaos.prototype.crashTasks,
  Chaos.prototype.sellOut,
  Chaos.prototype.storm,
  Chaos.prototype.crashAtNameCall,
  Chaos.prototype.troubleZone,
  Chaos.prototype.troubleZone,
  Chaos.prototype.interfere,
];
