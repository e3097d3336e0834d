import type { Condition } from '../../decide/alerts.ts';
import type { DnsHome } from '../../decide/dns/dns-forecast.ts';
import { basenameOf, type DnsScope, poolName, regionOf } from '../../decide/dns/dns-names.ts';
import { ipv4Of } from '../../decide/dns/dns-serving.ts';
import {
  type DnsAliasView,
  type DnsNameView,
  type DnsRecord,
  type DnsView,
  dnsStateOf,
  isFree,
} from '../../model/dns.ts';
import type { ClusterRecords } from '../records/cluster-records.ts';
import type { FoundAlias } from './dns-aliases.ts';

export interface DnsViewParts {
  records: ClusterRecords;
  providers: readonly string[];
  scope: DnsScope;
  homes(basename: string): DnsHome | null;
  alias(name: string): FoundAlias | null;
  checkedAt: number | null;
  /** Milliseconds since the epoch. */
  now: number;
}

/** Every name, its records, whose it is, how it stands, and the CNAMEs that people have to make themselves. */
export function dnsViewOf(parts: DnsViewParts): DnsView {
  const kept = [...parts.records.dns.values()].filter((record) => !isFree(record, parts.now));
  const names = kept.map(nameView).sort(byName);
  return {
    providers: [...parts.providers],
    names,
    aliases: aliasesOf(parts),
    attention: dnsConditionsOf(parts).map(({ sentence }) => sentence),
    checkedAt: parts.checkedAt === null ? null : new Date(parts.checkedAt).toISOString(),
  };
}

function nameView(record: DnsRecord): DnsNameView {
  const { name, kind, job, copy, values, published, ttl, place, reason, changedAt, lastError, foreign } = record;
  return {
    name,
    kind,
    job,
    copy,
    state: dnsStateOf(record),
    values: [...(foreign ?? published ?? [])],
    wanted: [...values],
    ttl,
    provider: place.provider,
    zone: place.zone,
    owner: foreign === null ? 'cerebro' : 'somebody else',
    reason: foreign === null ? reason : 'it is not ours and is left alone; when it is gone, a check takes the name',
    changedAt: changedAt === null ? null : new Date(changedAt).toISOString(),
    lastError,
  };
}

/** By basename and region, the pool before its copies, those by number. */
function byName(a: DnsNameView, b: DnsNameView): number {
  const [one, other] = [sortKey(a), sortKey(b)];
  return one < other ? -1 : one > other ? 1 : 0;
}

function sortKey({ name, kind, job }: DnsNameView): string {
  if (kind === 'pool') return `${job} ${name}`;
  const dot = name.indexOf('.');
  return `${job} ${name.slice(dot + 1)} ${name.slice(0, dot).padStart(6, '0')}`;
}

function aliasesOf({ records, scope, alias }: DnsViewParts): DnsAliasView[] {
  const views: DnsAliasView[] = [];
  for (const job of records.jobs.values()) {
    const name = basenameOf(job.spec);
    if (name === null || job.state !== 'active') continue;
    const regions = new Set(Object.keys(job.spec.deployment_layout).map((zone) => regionOf(zone, scope)));
    for (const record of records.dns.values()) if (record.job === job.name) regions.add(record.region);
    const targets = [...regions].map((region) => poolName(region, name)).sort();
    const found = alias(name);
    const checkedAt = found === null ? null : new Date(found.at).toISOString();
    views.push({ job: job.name, name, targets, ...judged(found, targets), checkedAt });
  }
  return views.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function judged(found: FoundAlias | null, targets: readonly string[]): Pick<DnsAliasView, 'state' | 'reason'> {
  if (found === null) return { state: 'unknown', reason: 'not looked at yet' };
  if (found.kind === 'unknown') return { state: 'unknown', reason: `it could not be asked for: ${found.sentence}` };
  const advice = `make it a CNAME to ${targets.length === 1 ? targets[0] : `one of ${targets.join(', ')}`}`;
  if (found.kind === 'missing') return { state: 'missing', reason: `there is no CNAME; ${advice}` };
  const there = found.targets.filter((target) => targets.includes(target));
  if (there.length > 0) return { state: 'there', reason: `leads to ${there.join(', ')}` };
  return {
    state: 'elsewhere',
    reason: `leads to ${found.targets.join(', ')}, which is no name of this job; ${advice}`,
  };
}

/** What keeps names from being as they should, each with a key that stays while it lasts. */
export function dnsConditionsOf(parts: DnsViewParts): Condition[] {
  const { records, homes } = parts;
  const conditions: Condition[] = [];
  const add = (key: string, sentence: string, job?: string): void => {
    conditions.push({ key: `dns/${key}`, level: 'warn', sentence, ...(job !== undefined && { job }) });
  };
  for (const job of records.jobs.values()) {
    const basename = basenameOf(job.spec);
    const home = basename === null || job.state !== 'active' ? null : homes(basename);
    if (home?.kind === 'nobody')
      add(`home/${job.name}`, `"${job.name}": no DNS provider serves ${basename}, so its names are not made`, job.name);
    if (home?.kind === 'unclear') add(`home/${job.name}`, `"${job.name}": its names wait: ${home.sentence}`, job.name);
  }
  for (const { job, machine } of records.copies.values()) {
    const spec = records.jobs.get(job)?.spec;
    const record = records.machines.get(machine);
    if (!spec || basenameOf(spec) === null || !record || record.address === null || ipv4Of(record) !== null) continue;
    const sentence = `${machine} has the address "${record.address}", which is no IPv4 address, so its copies get no names; give it one at its provider`;
    add(`address/${machine}`, sentence);
  }
  const failing = new Map<string, DnsRecord[]>();
  for (const record of records.dns.values()) {
    const { name, job, foreign, lastError, place } = record;
    if (foreign !== null)
      add(
        `foreign/${name}`,
        `${name} is somebody else's (${foreign.join(', ') || 'only a mark'}) and is left alone`,
        job,
      );
    if (dnsStateOf(record) !== 'failing' || lastError === null) continue;
    const key = `${place.provider}: ${lastError}`;
    failing.set(key, [...(failing.get(key) ?? []), record]);
  }
  for (const [trouble, [first, ...more]] of failing) {
    const which = more.length === 0 ? `${first?.name} is` : `${more.length + 1} names (${first?.name}, …) are`;
    add(`failing/${first?.place.provider}`, `${which} not as wanted yet: ${trouble}`);
  }
  return conditions;
}
