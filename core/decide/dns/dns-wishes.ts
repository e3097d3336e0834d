import type { CopyRecord } from '../../model/copy.ts';
import { type DnsPlace, type DnsRecord, isFree } from '../../model/dns.ts';
import { copiesIn, type JobRecord, type JobSpec, runsByTurns } from '../../model/job.ts';
import { isOver } from '../plan/is-over.ts';
import { basenameOf, copyName, type DnsScope, dnsKey, poolName, regionOf } from './dns-names.ts';
import { ipv4Of, type Serving, type Snapshot, servingOf } from './dns-serving.ts';

export interface DnsRules {
  /** Seconds. */
  ttl: number;
  scope: DnsScope;
  /** Whether a pool may be left without any answer because nothing is ready. */
  allowEmpty: boolean;
  /** Where the names under a basename are kept, and how many values one can hold; null: no provider takes them, or none is known yet. */
  home(basename: string): (DnsPlace & { maxValues: number | null }) | null;
}

/** The copies of a job in one region, which share a pool. */
export interface Group {
  job: JobRecord;
  basename: string;
  region: string;
  /** Somebody wants copies here. */
  wanted: boolean;
  copies: CopyRecord[];
}

export interface Wish {
  kind: DnsRecord['kind'];
  group: Group;
  copy: string | null;
  number: number | null;
  values: readonly string[];
  reason: string;
}

/** Every name that there should be, with what it should hold. */
export function dnsWishes(
  groups: ReadonlyMap<string, Group>,
  snapshot: Snapshot,
  records: ReadonlyMap<string, DnsRecord>,
  rules: DnsRules,
): Map<string, Wish> {
  const numbered = numberedByPool(records);
  const wishes = new Map<string, Wish>();
  for (const [name, group] of groups) {
    const home = rules.home(group.basename);
    for (const wish of numberWishes(group, snapshot, numbered.get(name) ?? []))
      wishes.set(copyName(wish.number ?? 0, group.region, group.basename), wish);
    const pool = poolWish(group, snapshot, records, rules, home?.maxValues ?? null);
    if (pool !== null) wishes.set(name, pool);
  }
  return wishes;
}

/** The copies of jobs with a basename, by the pool that they are in. */
export function groupsOf(snapshot: Snapshot, rules: DnsRules): Map<string, Group> {
  const { jobs, copies, machines } = snapshot;
  const groups = new Map<string, Group>();
  const groupFor = (job: JobRecord, zone: string): Group | null => {
    const basename = basenameOf(job.spec);
    if (basename === null) return null;
    const region = regionOf(zone, rules.scope);
    const name = poolName(region, basename);
    const group = groups.get(name) ?? { job, basename, region, wanted: false, copies: [] };
    groups.set(name, group);
    return group;
  };
  for (const job of jobs.values()) {
    for (const [zone, entry] of Object.entries(layoutOf(job, jobs))) {
      const group = copiesIn(entry) > 0 ? groupFor(job, zone) : null;
      if (group) group.wanted = true;
    }
  }
  for (const copy of copies.values()) {
    const job = jobs.get(copy.job);
    const group = job && !isOver(snapshot, copy) ? groupFor(job, copy.zone) : null;
    if (!job || !group || ipv4Of(machines.get(copy.machine)) === null) continue;
    group.copies.push(copy);
    if (copy.wanted === 'run' && job.state === 'active' && !job.stopped) group.wanted = true;
  }
  for (const group of groups.values()) group.copies.sort((a, b) => serialOf(a) - serialOf(b));
  return groups;
}

/** Where copies of a job are wanted: where its own layout says so, or that of the job which it follows. Of what runs by turns, only what runs just now is. */
function layoutOf(job: JobRecord, jobs: Snapshot['jobs']): JobSpec['deployment_layout'] {
  if (job.state !== 'active' || job.stopped || runsByTurns(job)) return {};
  if (job.spec.linked_job === undefined) return job.spec.deployment_layout;
  const leader = jobs.get(job.spec.linked_job);
  return leader ? layoutOf(leader, jobs) : {};
}

function numberedByPool(records: ReadonlyMap<string, DnsRecord>): Map<string, DnsRecord[]> {
  const numbered = new Map<string, DnsRecord[]>();
  for (const record of records.values()) {
    if (record.kind !== 'copy') continue;
    const pool = poolName(record.region, record.basename);
    const list = numbered.get(pool);
    if (list) list.push(record);
    else numbered.set(pool, [record]);
  }
  return numbered;
}

/** Each copy's own name: the number that it has, or else the lowest that is free. */
function* numberWishes(group: Group, snapshot: Snapshot, own: readonly DnsRecord[]): Generator<Wish> {
  const byCopy = new Map(own.flatMap((record) => (record.copy === null ? [] : [[record.copy, record] as const])));
  // A number that was given up is free again when nobody can remember its old address.
  const here = new Set(group.copies.map(({ id }) => id));
  const isTaken = (record: DnsRecord): boolean => here.has(record.copy ?? '') || !isFree(record, snapshot.now);
  const taken = new Set(own.filter(isTaken).map((record) => record.number));
  let lowest = 0;
  for (const copy of group.copies) {
    const machine = snapshot.machines.get(copy.machine);
    const address = ipv4Of(machine);
    if (copy.wanted === 'stop' || address === null || machine?.state === 'lost') continue;
    const known = byCopy.get(copy.id);
    while (known === undefined && taken.has(lowest)) lowest++;
    const number = known?.number ?? lowest;
    taken.add(number);
    yield { kind: 'copy', group, copy: copy.id, number, values: [address], reason: `${copy.id} is on ${copy.machine}` };
  }
}

/** The answer of a pool: ready copies, and never nothing because of what happens by itself. null: there is no pool to speak of. */
function poolWish(
  group: Group,
  snapshot: Snapshot,
  records: ReadonlyMap<string, DnsRecord>,
  rules: DnsRules,
  maxValues: number | null,
): Wish | null {
  const before = records.get(dnsKey(poolName(group.region, group.basename)))?.values ?? [];
  const addresses = servingAddresses(group, before, snapshot);
  const most = maxValues ?? addresses.length;
  const wish = { kind: 'pool' as const, group, copy: null, number: null };
  if (addresses.length > 0) {
    const kept = addresses.slice(0, most);
    const cut = kept.length < addresses.length ? `, of which one name can hold ${most}` : '';
    return { ...wish, values: kept, reason: `${countOf(addresses.length)} of "${group.job.name}" ready${cut}` };
  }
  if (!group.wanted || before.length === 0) return null;
  if (rules.allowEmpty) return null;
  return { ...wish, values: before, reason: 'no copy is ready; the last answer stays, so that there is one' };
}

function servingAddresses(group: Group, before: readonly string[], snapshot: Snapshot): string[] {
  const judged = group.copies.map((copy) => ({
    serving: servingOf(copy, snapshot),
    address: ipv4Of(snapshot.machines.get(copy.machine)) ?? '',
  }));
  const silent = judged.filter(({ serving }) => serving === 'silent').length;
  // Many silent at once look like the line and not like machines, as for replacing them: what was, stays.
  const braked = silent > 1 && silent / judged.length > snapshot.limits.replaceBrake;
  const answers = (serving: Serving, address: string): boolean => {
    if (serving === 'ready') return true;
    return (serving === 'unknown' || (serving === 'silent' && braked)) && before.includes(address);
  };
  return [...new Set(judged.filter((one) => answers(one.serving, one.address)).map(({ address }) => address))];
}

function countOf(addresses: number): string {
  return addresses === 1 ? 'one address' : `${addresses} addresses`;
}

function serialOf(copy: CopyRecord): number {
  return Number(copy.id.slice(copy.id.lastIndexOf('.') + 1));
}
