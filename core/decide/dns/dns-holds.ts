import type { CopyRecord } from '../../model/copy.ts';
import type { DnsRecord } from '../../model/dns.ts';
import { basenameOf, type DnsScope, dnsKey, poolName, regionOf } from './dns-names.ts';
import { ipv4Of, isLeaving, type Snapshot, servingOf } from './dns-serving.ts';

export interface HoldRules {
  scope: DnsScope;
  /** Seconds. */
  ttl: number;
  /** How long beyond the TTL a copy waits at most, should its provider not answer. */
  patienceMs: number;
}

/**
 * The copies whose process is not to be ended yet, because names still lead to them or may be remembered, and when at the latest
 * to ask again (ms since the epoch). Bounded: names are worth a wait, and no more.
 */
export function dnsHolds(
  snapshot: Snapshot,
  records: ReadonlyMap<string, DnsRecord>,
  rules: HoldRules,
): Map<string, number> {
  const holds = new Map<string, number>();
  if (records.size === 0) return holds;
  let known: Known | null = null;
  for (const copy of snapshot.copies.values()) {
    if (!isLeaving(copy)) continue;
    known ??= new Known(snapshot, records, rules.scope);
    const until = heldUntil(copy, known, rules);
    if (until !== null) holds.set(copy.id, until);
  }
  return holds;
}

/** What is asked of every copy that is held, worked out once. */
class Known {
  readonly snapshot: Snapshot;
  readonly #records: ReadonlyMap<string, DnsRecord>;
  readonly #scope: DnsScope;
  /** A copy has more than one while the basename of its job is changed: the old names have yet to be forgotten. */
  readonly #own = new Map<string, DnsRecord[]>();
  readonly #pools = new Map<string, DnsRecord[]>();
  /** The addresses that ready copies have, by the pool that they are in. */
  readonly #ready = new Map<string, Set<string>>();

  constructor(snapshot: Snapshot, records: ReadonlyMap<string, DnsRecord>, scope: DnsScope) {
    this.snapshot = snapshot;
    this.#records = records;
    this.#scope = scope;
    for (const record of records.values()) {
      if (record.copy !== null) add(this.#own, record.copy, record);
      if (record.kind === 'pool') add(this.#pools, record.job, record);
    }
    for (const copy of snapshot.copies.values()) {
      const name = this.#poolName(copy);
      const address = this.addressOf(copy);
      if (name === null || address === null || servingOf(copy, snapshot) !== 'ready') continue;
      const ready = this.#ready.get(name);
      if (ready) ready.add(address);
      else this.#ready.set(name, new Set([address]));
    }
  }

  addressOf(copy: CopyRecord): string | null {
    return ipv4Of(this.snapshot.machines.get(copy.machine));
  }

  isSingle(copy: CopyRecord): boolean {
    return this.snapshot.jobs.get(copy.job)?.spec.singleton ?? false;
  }

  namesOf(copy: CopyRecord): readonly DnsRecord[] {
    return this.#own.get(copy.id) ?? [];
  }

  /** The pools that its job had under another basename. */
  formerPoolsOf(copy: CopyRecord): readonly DnsRecord[] {
    const name = this.#poolName(copy);
    return (this.#pools.get(copy.job) ?? []).filter((pool) => pool.name !== name && pool.values.length === 0);
  }

  poolOf(copy: CopyRecord): DnsRecord | undefined {
    const name = this.#poolName(copy);
    return name === null ? undefined : this.#records.get(dnsKey(name));
  }

  /** The addresses of the copies beside this one that its pool can answer with. */
  readyBeside(copy: CopyRecord): ReadonlySet<string> {
    return this.#ready.get(this.#poolName(copy) ?? '') ?? new Set();
  }

  #poolName(copy: CopyRecord): string | null {
    const job = this.snapshot.jobs.get(copy.job);
    const basename = job && basenameOf(job.spec);
    return basename ? poolName(regionOf(copy.zone, this.#scope), basename) : null;
  }
}

function add(lists: Map<string, DnsRecord[]>, key: string, record: DnsRecord): void {
  const list = lists.get(key);
  if (list) list.push(record);
  else lists.set(key, [record]);
}

function heldUntil(copy: CopyRecord, known: Known, rules: HoldRules): number | null {
  const { now } = known.snapshot;
  const [address, pool] = [known.addressOf(copy), known.poolOf(copy)];
  const own = copy.wanted === 'stop' ? known.namesOf(copy) : [];
  const former = known.formerPoolsOf(copy);
  const ttls = [pool, ...own, ...former].map((record) => record?.publishedTtl ?? 0);
  const bound = copy.changedAt + Math.max(rules.ttl, ...ttls) * 1000 + rules.patienceMs;
  if (address === null || now >= bound) return null;
  // Another copy at the same address serves whoever comes.
  const isAlone = !known.readyBeside(copy).has(address);
  const holds = [
    isAlone ? poolHold(copy, address, pool, known) : null,
    ...own.map((record) => nameHold(address, record, now)),
    ...(isAlone ? former : []).map((record) => nameHold(address, record, now)),
  ].filter((until) => until !== null);
  return holds.length === 0 ? null : Math.min(bound, Math.max(...holds));
}

/** Until when the pool leads to this copy, or may be remembered to; `Infinity` while a change of that is still to come. */
function poolHold(copy: CopyRecord, address: string, pool: DnsRecord | undefined, known: Known): number | null {
  const ready = known.readyBeside(copy);
  // It is the last that answers, and stays in its pool. An end may wait for another to be ready; a restart would wait for nobody,
  // and so would one that may not run twice.
  if (ready.size === 0 && (copy.wanted === 'run' || known.isSingle(copy))) return null;
  // Wanted there and not sent yet: it may be on its way this very moment.
  if (ready.size > 0 && pool?.foreign === null && pool.values.includes(address)) return Number.POSITIVE_INFINITY;
  return nameHold(address, pool, known.snapshot.now);
}

function nameHold(address: string, record: DnsRecord | undefined, now: number): number | null {
  if (!record) return null;
  if (record.published?.includes(address) || record.attempted?.includes(address)) return Number.POSITIVE_INFINITY;
  const until = record.left[address] ?? 0;
  return until > now ? until : null;
}
