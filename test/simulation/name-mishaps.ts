import { JOBS } from './job-files.ts';
import { type NameZones, SUFFIXES } from './name-zones.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { World } from './world.ts';

interface Parts {
  world: World;
  zones: NameZones;
  /** The names that stand on record. */
  names(): string[];
}

/** What can go wrong with the zones that names are in. */
export class NameMishaps {
  readonly #parts: Parts;
  readonly #random: SeededRandom;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#random = parts.world.random.fork('name mishaps');
  }

  /** Mends everything; but now and then services stay away for good: tasks must do without. */
  end(): void {
    const { world, zones } = this.#parts;
    const away = this.#random.chance(0.05);
    if (away) world.tell('the name services are away, and stay so');
    for (const zone of zones.all) {
      zone.down = away;
      zone.lagMs = 0;
      zone.refused.clear();
    }
  }

  /** The zone is away, refuses names, or shows what was. */
  troubleZone(): void {
    const { world, zones, names } = this.#parts;
    const zone = this.#random.pick(zones.all);
    const how = this.#random.pick(['away', 'refuses', 'lags'] as const);
    world.tell(`${zone.name}: ${how}`);
    if (how === 'away') zone.down = true;
    else if (how === 'lags') zone.lagMs = this.#random.between(1000, 20_000);
    else for (const name of names()) if (this.#random.chance(0.3)) zone.refused.add(name);
    world.after(this.#random.between(2000, 60_000), () => {
      if (world.calm) return;
      zone.down = false;
      zone.lagMs = 0;
      zone.refused.clear();
    });
  }

  /** Somebody else writes into the zone: at a name that is free, or over one of ours. */
  interfere(): void {
    const { world, zones, names } = this.#parts;
    const name = this.#random.chance(0.5)
      ? someName(this.#random)
      : this.#random.pick([...names(), someName(this.#random)]);
    const zone = zones.of(name);
    if (!zone) return;
    const isOurs = zone.isOurs(name);
    const values = isOurs && this.#random.chance(0.3) ? [] : [`192.0.2.${this.#random.int(1, 9)}`];
    if (isOurs) zone.troubledAt = world.clock.now();
    if (!isOurs && this.#random.chance(0.3))
      zone.interfere({ name: `_cerebro.${name}`, type: 'TXT', ttl: 300, values: ['heritage=cerebro,cluster=another'] });
    zone.interfere({ name, type: 'A', ttl: 300, values });
  }
}

/** A name that some job may come to want. */
function someName(random: SeededRandom): string {
  const pool = `${random.pick(['sim-1', 'sim-2'])}.${random.pick(JOBS)}.${random.pick(SUFFIXES)}`;
  return random.chance(0.5) ? pool : `${random.int(0, 3)}.${pool}`;
}
