import { isWithin } from '../../core/contracts/dns-batch.ts';
import { NameZone } from './name-zone.ts';
import type { World } from './world.ts';

/** Zones of two services, one below the other: the longer one is asked for what is in both. */
const ZONES = [
  { provider: 'names', name: 'one.test', maxValues: null },
  { provider: 'small-names', name: 'two.one.test', maxValues: 2 },
] as const;

/** What basenames may end in; nobody serves the last one. */
export const SUFFIXES = ['one.test', 'one.test', 'two.one.test', 'nowhere.test'] as const;

/** All zones of a life. */
export class NameZones {
  readonly all: readonly NameZone[];

  constructor(world: World) {
    this.all = ZONES.map((zone) => new NameZone(world, zone));
  }

  /** The zone that a name is to be in; undefined: nobody serves it. */
  of(name: string): NameZone | undefined {
    return this.all.filter((zone) => isWithin(name, zone.name)).sort((a, b) => b.name.length - a.name.length)[0];
  }
}
