import { foreignSets, isWithin, judgeSet, wantedSets } from '../../core/contracts/dns-batch.ts';
import type { DnsChange, DnsRecordSet } from '../../core/contracts/dns-provider.ts';
import { markerName } from '../../core/decide/dns/dns-names.ts';
import { CerebroError } from '../../core/errors.ts';
import type { SitterProcess } from './sitter-process.ts';
import type { World } from './world.ts';

/** One record set, and whether it was put there by us. */
export interface ZoneSet extends DnsRecordSet {
  ours: boolean;
}

type Sets = ReadonlyMap<string, ZoneSet>;

/** States of a zone that lists may still show. */
const KEPT_STATES = 100;

/** One zone at its server, as everybody who asks sees it: the truth about names. */
export class NameZone {
  readonly provider: string;
  readonly name: string;
  readonly maxValues: number | null;
  /** Nobody answers there. */
  down = false;
  /** So old is what lists show (ms); changes are judged by what is. */
  lagMs = 0;
  /** Names of which no change is taken just now. */
  readonly refused = new Set<string>();
  /** When something last went wrong that the cluster sitter could not know at once. */
  troubledAt = Number.NEGATIVE_INFINITY;
  /** The calls that are still waited for, and since when. */
  readonly underWay = new Set<{ by: SitterProcess; since: number }>();
  readonly #world: World;
  readonly #states: { from: number; sets: Sets }[] = [{ from: 0, sets: new Map() }];
  /** When an address was last taken out of a name's answer, and for how long it may be remembered; by `NAME ADDRESS`. */
  readonly #remembered = new Map<string, number>();

  constructor(
    world: World,
    { provider, name, maxValues }: { provider: string; name: string; maxValues: number | null },
  ) {
    this.#world = world;
    this.provider = provider;
    this.name = name;
    this.maxValues = maxValues;
  }

  /** By `NAME/TYPE`. */
  get sets(): Sets {
    return this.#states.at(-1)?.sets ?? new Map();
  }

  answer(name: string): readonly string[] {
    return this.sets.get(`${name}/A`)?.values ?? [];
  }

  /** Whether somebody who asked for a name may have this address, from an answer or from a cache. */
  mayLead(name: string, address: string): boolean {
    if (this.answer(name).includes(address)) return true;
    return (this.#remembered.get(`${name} ${address}`) ?? 0) > this.#world.clock.now();
  }

  list(name: string): DnsRecordSet[] {
    const seen = this.#world.clock.now() - this.lagMs;
    const sets = this.#states.findLast(({ from }) => from <= seen)?.sets ?? new Map<string, ZoneSet>();
    return [...sets.values()]
      .filter((set) => isWithin(set.name, name))
      .map(({ ours: _, values, ...set }) => ({ ...set, values: [...values] }));
  }

  /** All of it or nothing, as the contract has it. Returns the sets of others that were changed, of which there may be none. */
  apply(changes: readonly DnsChange[]): ZoneSet[] {
    const wanted = wantedSets(this.name, changes, this.maxValues);
    const refused = wanted.find(({ name }) => this.refused.has(name));
    if (refused) throw new CerebroError('invalid', `${refused.name} is not taken here just now`);
    const judged = wanted.map((set) => ({
      set,
      judgement: judgeSet(set, this.sets.get(`${set.name}/${set.type}`) ?? null),
    }));
    const foreign = judged.filter(({ judgement }) => judgement === 'foreign').map(({ set }) => set);
    if (foreign.length > 0) throw foreignSets(foreign, 'somebody else writes there too');
    const due = judged.filter(({ judgement }) => judgement === 'due').map(({ set }) => set);
    return this.#change(
      due.map(({ name, type, ttl, values }) => ({ name, type, ttl, values: [...values], ours: true })),
    );
  }

  /** Whether a name is ours: we put its addresses, or the mark that says so. */
  isOurs(name: string): boolean {
    return this.sets.get(`${name}/A`)?.ours ?? this.sets.get(`${markerName(name)}/TXT`)?.ours ?? false;
  }

  /** What somebody else does there, with whatever right; a set without values is removed. */
  interfere(set: DnsRecordSet): void {
    // Who writes over what is ours makes it no more theirs.
    const ours = this.isOurs(set.name);
    this.#change([{ ...set, ours }]);
    const what = set.values.length === 0 ? 'removes it' : `puts ${set.values.join(', ')}`;
    this.#world.tell(`somebody ${what} at ${set.name}/${set.type}${ours ? ', which is ours' : ''}`);
  }

  #change(changed: readonly ZoneSet[]): ZoneSet[] {
    if (changed.length === 0) return [];
    const now = this.#world.clock.now();
    const sets = new Map(this.sets);
    const theirs: ZoneSet[] = [];
    for (const set of changed) {
      const key = `${set.name}/${set.type}`;
      const before = sets.get(key);
      if (before && !before.ours && set.ours) theirs.push(before);
      for (const value of before?.type === 'A' ? before.values : [])
        this.#remembered.set(`${set.name} ${value}`, now + (before?.ttl ?? 0) * 1000);
      if (set.values.length === 0) sets.delete(key);
      else sets.set(key, set);
    }
    this.#states.push({ from: now, sets });
    if (this.#states.length > KEPT_STATES) this.#states.shift();
    return theirs;
  }
}
