import type { DnsChange, DnsProvider, DnsRecordSet } from '../../core/contracts/dns-provider.ts';
import { CerebroError } from '../../core/errors.ts';

type Batch = { zone: string; changes: readonly DnsChange[] };

/**
 * A DNS service without a network, for tests; it passes the same suite as the real ones. The zones outlive it, so that another
 * one can be made over them. `failNext` is thrown by the coming calls of `apply`, one each; with `loseAnswers` they are carried
 * out first, as when only the answer was lost.
 */
export class FakeDnsProvider implements DnsProvider {
  readonly name: string;
  readonly maxValues: number | null;
  /** What was asked for, refused or not. */
  readonly batches: Batch[] = [];
  failNext: CerebroError[] = [];
  loseAnswers = false;
  /** Names of which no change is ever taken. */
  readonly refuses = new Set<string>();
  /** Names that cannot be listed. */
  readonly unreadable = new Set<string>();
  /** While set, every call fails with it. */
  down: CerebroError | null = null;
  readonly zones: Map<string, Map<string, DnsRecordSet>>;

  constructor(
    zones: Map<string, Map<string, DnsRecordSet>>,
    options: { name?: string; maxValues?: number | null } = {},
  ) {
    this.zones = zones;
    this.name = options.name ?? 'fake';
    this.maxValues = options.maxValues ?? null;
  }

  async start(): Promise<void> {
    await Promise.resolve();
  }

  async stop(): Promise<void> {
    await Promise.resolve();
  }

  async zoneOf(name: string): Promise<string | null> {
    this.#answerOrFail();
    const holding = [...this.zones.keys()].filter((zone) => isWithin(name, zone));
    return holding.sort((a, b) => b.length - a.length)[0] ?? null;
  }

  async list(name: string): Promise<DnsRecordSet[]> {
    if (this.unreadable.has(name)) throw new CerebroError('unavailable', `${name} cannot be listed`);
    const zone = await this.zoneOf(name);
    const sets = zone === null ? [] : [...(this.zones.get(zone)?.values() ?? [])];
    return structuredClone(sets.filter((set) => isWithin(set.name, name)));
  }

  async apply(zone: string, changes: readonly DnsChange[]): Promise<void> {
    this.batches.push({ zone, changes: structuredClone(changes) });
    this.#answerOrFail();
    const failure = this.failNext.shift();
    if (failure && !this.loseAnswers) throw failure;
    this.#change(zone, changes);
    if (failure) throw failure;
  }

  #answerOrFail(): void {
    if (this.down !== null) throw this.down;
  }

  #change(zone: string, changes: readonly DnsChange[]): void {
    const sets = this.zones.get(zone);
    if (!sets) throw new CerebroError('invalid', `there is no zone ${zone}`);
    const draft = new Map(sets);
    const foreign = changes.filter((change) => !this.#draft(draft, zone, change));
    if (foreign.length > 0) {
      const names = foreign.map((change) => keyOf(change)).join(', ');
      throw new CerebroError('conflict', `somebody else writes there too: ${names}`);
    }
    this.zones.set(zone, draft);
  }

  /** false: what is there is not what the caller believes. */
  #draft(sets: Map<string, DnsRecordSet>, zone: string, change: DnsChange): boolean {
    const key = keyOf(change);
    if (this.refuses.has(nameOf(change))) throw new CerebroError('invalid', `${key} is not taken here`);
    if (!isWithin(nameOf(change), zone)) throw new CerebroError('invalid', `${key} is not in the zone ${zone}`);
    const there = sets.get(key)?.values ?? null;
    if (change.kind === 'remove') {
      if (there !== null && !sameValues(there, change.was)) return false;
      sets.delete(key);
      return true;
    }
    if (this.maxValues !== null && change.set.values.length > this.maxValues)
      throw new CerebroError('invalid', `${key} would have more than ${this.maxValues} values`);
    if (!sameValues(there, change.set.values) && !sameValues(there, change.was)) return false;
    sets.set(key, structuredClone(change.set));
    return true;
  }
}

/** The zone "." holds every name. */
export function isWithin(name: string, parent: string): boolean {
  return parent === '.' || name === parent || name.endsWith(`.${parent}`);
}

function nameOf(change: DnsChange): string {
  return change.kind === 'put' ? change.set.name : change.name;
}

function keyOf(change: DnsChange): string {
  return change.kind === 'put' ? `${change.set.name}/${change.set.type}` : `${change.name}/${change.type}`;
}

function sameValues(a: readonly string[] | null, b: readonly string[] | null): boolean {
  if (a === null || b === null) return a === b;
  return a.length === b.length && a.every((value) => b.includes(value));
}
