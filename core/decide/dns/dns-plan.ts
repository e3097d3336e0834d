import type { CopyRecord } from '../../model/copy.ts';
import { type DnsPlace, type DnsRecord, isFree, sameValues } from '../../model/dns.ts';
import type { JobRecord } from '../../model/job.ts';
import { basenameOf, dnsKey, poolName } from './dns-names.ts';
import { isLeaving, type Snapshot } from './dns-serving.ts';
import { type DnsRules, dnsWishes, type Group, groupsOf, type Wish } from './dns-wishes.ts';

/** A record as it is to be in the store; null: it is to be forgotten. */
export interface DnsRecordChange {
  key: string;
  record: DnsRecord | null;
  reason: string;
}

export interface DnsPlan {
  changes: DnsRecordChange[];
  /** When, without news, it could come out differently (ms since the epoch). */
  wakeAt: number | null;
}

/**
 * What the DNS records should be, compared with those that are known. Pure. It only ever changes records that we made; what it
 * changes is sent by the publisher, a copy's own name before its pool, and a pool before the names of its copies where they go.
 */
export function planDns(snapshot: Snapshot, records: ReadonlyMap<string, DnsRecord>, rules: DnsRules): DnsPlan {
  const groups = groupsOf(snapshot, rules);
  return compare(dnsWishes(groups, snapshot, records, rules), groups, snapshot, records, rules);
}

function compare(
  wishes: ReadonlyMap<string, Wish>,
  groups: ReadonlyMap<string, Group>,
  snapshot: Snapshot,
  records: ReadonlyMap<string, DnsRecord>,
  rules: DnsRules,
): DnsPlan {
  const plan: DnsPlan = { changes: [], wakeAt: null };
  for (const [name, wish] of wishes) {
    const change = wanted(name, wish, records.get(dnsKey(name)), rules);
    if (change !== null) plan.changes.push(change);
  }
  for (const [key, record] of records) {
    if (wishes.has(record.name)) continue;
    const change = unwanted(key, record, groups, snapshot);
    if (change !== null) plan.changes.push(change);
    else if (record.values.length === 0) wake(plan, record, snapshot.now);
  }
  return plan;
}

function wanted(name: string, wish: Wish, known: DnsRecord | undefined, rules: DnsRules): DnsRecordChange | null {
  const home = rules.home(wish.group.basename);
  const place = home === null ? known?.place : { provider: home.provider, zone: home.zone };
  if (place === undefined) return null;
  const moved = known !== undefined && (known.place.provider !== place.provider || known.place.zone !== place.zone);
  const same =
    known !== undefined &&
    !moved &&
    known.copy === wish.copy &&
    known.job === wish.group.job.name &&
    known.ttl === rules.ttl &&
    sameValues(known.values, wish.values);
  if (same) return null;
  const base = known === undefined || moved ? newRecord(name, wish, place) : known;
  const record: DnsRecord = {
    ...base,
    job: wish.group.job.name,
    copy: wish.copy,
    values: [...wish.values],
    ttl: rules.ttl,
    reason: wish.reason,
    attempts: 0,
    nextAttemptAt: 0,
  };
  return { key: dnsKey(name), record, reason: wish.reason };
}

function unwanted(
  key: string,
  record: DnsRecord,
  groups: ReadonlyMap<string, Group>,
  { now, jobs, copies }: Snapshot,
): DnsRecordChange | null {
  if (record.foreign !== null) {
    // It keeps its number from being given away for as long as there is somebody to give it to.
    const group = groups.get(poolName(record.region, record.basename));
    if (record.kind === 'copy' && group?.copies.some((copy) => copy.wanted === 'run')) return null;
    return { key, record: null, reason: 'nothing of ours is wanted there any more' };
  }
  if (record.values.length > 0) {
    const reason = whyUnwanted(record, jobs, copies);
    return { key, record: { ...record, values: [], reason, attempts: 0, nextAttemptAt: 0 }, reason };
  }
  if (!isFree(record, now) || record.watchUntil > now) return null;
  return { key, record: null, reason: record.reason };
}

function whyUnwanted(
  record: DnsRecord,
  jobs: ReadonlyMap<string, JobRecord>,
  copies: ReadonlyMap<string, CopyRecord>,
): string {
  const job = jobs.get(record.job);
  if (!job) return `"${record.job}" is gone`;
  if (job.state === 'removing') return `"${record.job}" is being removed`;
  if (basenameOf(job.spec) !== record.basename) return `"${record.job}" has another basename now`;
  if (record.copy === null) return `"${record.job}" has no copy in ${record.region} that it could name`;
  const copy = copies.get(record.copy);
  if (!copy) return `${record.copy} is gone`;
  return isLeaving(copy) ? `${record.copy} is about to be stopped` : `the machine of ${record.copy} is gone`;
}

function wake(plan: DnsPlan, record: DnsRecord, now: number): void {
  for (const until of [...Object.values(record.left), record.watchUntil])
    if (until > now && (plan.wakeAt === null || until < plan.wakeAt)) plan.wakeAt = until;
}

function newRecord(name: string, { kind, group, copy, number }: Wish, place: DnsPlace): DnsRecord {
  return {
    name,
    kind,
    job: group.job.name,
    basename: group.basename,
    region: group.region,
    copy,
    number,
    place,
    values: [],
    ttl: 0,
    published: null,
    publishedTtl: null,
    attempted: null,
    marked: false,
    left: {},
    watchUntil: 0,
    foreign: null,
    reason: '',
    changedAt: null,
    attempts: 0,
    nextAttemptAt: 0,
    lastError: null,
  };
}
