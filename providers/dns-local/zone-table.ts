import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { DnsChange, DnsRecordSet } from '../../core/contracts/dns-provider.ts';
import { CerebroError, systemCode } from '../../core/errors.ts';
import { sameValues } from '../../core/model/dns.ts';
import { problemOfName } from '../../core/model/dns-name.ts';

/** The zone above all zones, as it is written. */
export const ROOT = '.';

const recordSet = z.object({
  name: z.string(),
  type: z.enum(['A', 'TXT']),
  ttl: z.number().int(),
  values: z.array(z.string()).min(1),
});
const zoneFile = z.object({ serial: z.number().int(), sets: z.array(recordSet) });

/** Names to record sets, with a file behind them. What is asked for is answered from memory. */
export class ZoneTable {
  readonly zones: readonly string[];
  readonly #file: string;
  #sets = new Map<string, DnsRecordSet>();
  /** Every name that exists because of the sets: their own, and those above them. */
  #names = new Map<string, number>();
  #serial = 1;

  /** `file`: absolute; it is read by `load`. */
  constructor(zones: readonly string[], file: string) {
    this.zones = zones.length > 0 ? zones : [ROOT];
    this.#file = file;
  }

  /** Grows with every change. */
  get serial(): number {
    return this.#serial;
  }

  load(): void {
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return;
      throw error;
    }
    const { serial, sets } = zoneFile.parse(JSON.parse(text));
    this.#take(new Map(sets.map((set) => [`${set.name}/${set.type}`, set])), serial);
  }

  zoneOf(name: string): string | null {
    const holding = this.zones.filter((zone) => isWithin(name, zone));
    return holding.sort((a, b) => b.length - a.length)[0] ?? null;
  }

  set(name: string, type: DnsRecordSet['type']): DnsRecordSet | undefined {
    return this.#sets.get(`${name}/${type}`);
  }

  /** Whether something stands at this name or below it. */
  exists(name: string): boolean {
    return this.#names.has(name);
  }

  list(name: string): DnsRecordSet[] {
    return [...this.#sets.values()].filter((set) => isWithin(set.name, name));
  }

  /** All changes or none. Throws `invalid` for what can never be, `conflict` for what is not as `was` says. */
  apply(zone: string, changes: readonly DnsChange[]): void {
    if (!this.zones.includes(zone))
      throw new CerebroError('invalid', `dns-local serves no zone ${zone}; it serves ${this.zones.join(', ')}`);
    const draft = new Map(this.#sets);
    const foreign = changes.filter((change) => !put(draft, zone, change)).map(keyOf);
    if (foreign.length > 0)
      throw new CerebroError('conflict', `these stand otherwise than they were last seen: ${foreign.join(', ')}`);
    const serial = this.#serial + 1;
    this.#save(draft, serial);
    this.#take(draft, serial);
  }

  #take(sets: Map<string, DnsRecordSet>, serial: number): void {
    const names = new Map<string, number>();
    for (const { name } of sets.values())
      for (const above of withParents(name)) names.set(above, (names.get(above) ?? 0) + 1);
    this.#sets = sets;
    this.#names = names;
    this.#serial = serial;
  }

  #save(sets: ReadonlyMap<string, DnsRecordSet>, serial: number): void {
    mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
    writeFileSync(`${this.#file}.new`, JSON.stringify({ serial, sets: [...sets.values()] }), { mode: 0o600 });
    renameSync(`${this.#file}.new`, this.#file);
  }
}

export function isWithin(name: string, zone: string): boolean {
  return zone === ROOT || name === zone || name.endsWith(`.${zone}`);
}

function* withParents(name: string): Generator<string> {
  for (let rest = name; ; rest = rest.slice(rest.indexOf('.') + 1)) {
    yield rest;
    if (!rest.includes('.')) return;
  }
}

/** false: what is there is not what the caller believes. */
function put(sets: Map<string, DnsRecordSet>, zone: string, change: DnsChange): boolean {
  const key = keyOf(change);
  check(zone, change);
  const there = sets.get(key)?.values ?? null;
  if (change.kind === 'remove') {
    if (there !== null && !sameValues(there, change.was)) return false;
    sets.delete(key);
    return true;
  }
  if (!sameValues(there, change.set.values) && !sameValues(there, change.was)) return false;
  sets.set(key, { ...change.set, values: [...change.set.values] });
  return true;
}

function check(zone: string, change: DnsChange): void {
  const name = change.kind === 'put' ? change.set.name : change.name;
  if (!isWithin(name, zone)) throw new CerebroError('invalid', `${name} is not in the zone ${zone}`);
  const problem = problemOfName(name);
  if (problem !== null) throw new CerebroError('invalid', `${name} cannot be a name: ${problem}`);
}

function keyOf(change: DnsChange): string {
  return change.kind === 'put' ? `${change.set.name}/${change.set.type}` : `${change.name}/${change.type}`;
}
