import type { DnsHome } from '../decide/dns-forecast.ts';
import { basenameOf, type DnsScope, poolName, regionOf } from '../decide/dns-names.ts';
import { type DnsAliasView, type DnsNameView, type DnsRecord, type DnsView, dnsStateOf } from '../model/dns.ts';
import type { ClusterRecords } from './cluster-records.ts';
import type { FoundAlias } from './dns-aliases.ts';

export interface DnsViewParts {
  records: ClusterRecords;
  providers: readonly string[];
  scope: DnsScope;
  homes(basename: string): DnsHome | null;
  alias(name: string): FoundAlias | null;
  checkedAt: number | null;
}

/** Every name, its records, whose it is, how it stands, and the CNAMEs that people have to make themselves. */
export function dnsViewOf(parts: DnsViewParts): DnsView {
  const names = [...parts.records.dns.values()].map(nameView).sort(byName);
  return {
    providers: [...parts.providers],
    names,
    aliases: aliasesOf(parts),
    attention: [...withoutHome(parts), ...troubles(names)],
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
    reason,
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

function withoutHome({ records, homes }: DnsViewParts): string[] {
  const sentences = new Set<string>();
  for (const job of records.jobs.values()) {
    const basename = basenameOf(job.spec);
    const home = basename === null || job.state !== 'active' ? null : homes(basename);
    if (home?.kind === 'nobody')
      sentences.add(`"${job.name}": no DNS provider serves ${basename}, so its names are not made`);
    if (home?.kind === 'unclear') sentences.add(`"${job.name}": its names wait: ${home.sentence}`);
  }
  return [...sentences];
}

function troubles(names: readonly DnsNameView[]): string[] {
  const failing = new Map<string, string[]>();
  const sentences: string[] = [];
  for (const { name, state, provider, lastError, values } of names) {
    if (state === 'foreign')
      sentences.push(`${name} is somebody else's (${values.join(', ') || 'only a mark'}) and is left alone`);
    if (state === 'failing' && lastError !== null) {
      const key = `${provider}: ${lastError}`;
      failing.set(key, [...(failing.get(key) ?? []), name]);
    }
  }
  for (const [trouble, list] of failing) {
    const which = list.length === 1 ? `${list[0]} is` : `${list.length} names (${list[0]}, …) are`;
    sentences.push(`${which} not as wanted yet: ${trouble}`);
  }
  return sentences;
}
