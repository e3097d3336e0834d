import { type JobRecord, type JobSpec, reservationOf, runKey } from '../../model/job.ts';
import type { MachineType } from '../../model/plan.ts';
import { providerOf } from '../../model/zone.ts';
import { regionOf } from '../dns/dns-names.ts';
import { didYouMean } from '../words/nearest-names.ts';

export interface JobCheckContext {
  jobs: ReadonlyMap<string, JobRecord>;
  /** The names of the providers that are loaded. */
  providers: readonly string[];
  types(zone: string): readonly MachineType[];
  /** Why nothing is to be had in a zone, as its provider says it; null: it has nothing to say. */
  complaint?(zone: string): string | null;
}

/** What a valid document may still ask for that this cluster cannot do; one sentence each, none: it can. */
export function checkJobs(specs: readonly JobSpec[], context: JobCheckContext): string[] {
  const problems: string[] = [];
  const after = new Map<string, JobSpec>();
  for (const job of context.jobs.values()) if (job.state === 'active') after.set(job.name, job.spec);
  for (const spec of specs) after.set(spec.task_configuration.name, spec);
  for (const spec of specs) {
    const { name } = spec.task_configuration;
    if (context.jobs.get(name)?.state === 'removing')
      problems.push(`"${name}" is just being removed; apply it again when it is gone`);
    for (const zone of Object.keys(spec.deployment_layout)) {
      const problem = checkZone(spec, zone, context);
      if (problem !== null) problems.push(`"${name}": deployment_layout.${zone}: ${problem}`);
      for (const sentence of checkFallback(spec, zone, context))
        problems.push(`"${name}": deployment_layout.${zone}.fallback: ${sentence}`);
    }
    const problem = checkLink(spec, after);
    if (problem !== null) problems.push(`"${name}": linked_job: ${problem}`);
  }
  return problems;
}

function checkZone(spec: JobSpec, zone: string, context: JobCheckContext): string | null {
  const types = context.types(zone);
  if (types.length === 0) {
    const complaint = context.complaint?.(zone) ?? null;
    if (complaint !== null) return `nothing is to be had in this zone: ${complaint}`;
    const served = context.providers.map((provider) => `${provider}-…`).join(', ') || 'none';
    return context.providers.includes(providerOf(zone))
      ? `the provider "${providerOf(zone)}" does not serve this zone`
      : `no provider serves this zone${didYouMean(providerOf(zone), context.providers)} Served are: ${served}`.replace(
          'zone Served',
          'zone. Served',
        );
  }
  const { cpu, mem } = reservationOf(spec, zone);
  if (types.some((type) => cpu <= type.cpu && mem <= type.mem)) return null;
  const sizes = types.map((type) => `${type.name} (${type.cpu} cores, ${type.mem} MB)`).join(', ');
  return `a copy reserves ${cpu} cores and ${mem} MB, and no machine type of this zone is that large: ${sizes}`;
}

/** Names bear the region, so a copy with one cannot be elsewhere; and what a provider has none of, another one cannot know. */
function checkFallback(spec: JobSpec, zone: string, context: JobCheckContext): string[] {
  const { fallback = [] } = spec.deployment_layout[zone] ?? {};
  return fallback.flatMap((other, i) => {
    if (other === zone || fallback.indexOf(other) < i) return [`${other} is named already`];
    if (providerOf(other) !== providerOf(zone)) return [`${other} is a zone of another provider`];
    if (spec.dns_basename !== undefined && regionOf(other, 'region') !== regionOf(zone, 'region'))
      return [`${other} is in another region, and the names of "dns_basename" bear the region`];
    const problem = checkZone(spec, other, context);
    return problem === null ? [] : [`${other}: ${problem}`];
  });
}

function checkLink(spec: JobSpec, after: ReadonlyMap<string, JobSpec>): string | null {
  const chain = [spec.task_configuration.name];
  for (let leader = spec.linked_job; leader !== undefined; leader = after.get(leader)?.linked_job) {
    if (chain.includes(leader)) return `a circle: ${[...chain, leader].map((name) => `"${name}"`).join(' -> ')}`;
    if (!after.has(leader)) return `there is no job "${leader}"${didYouMean(leader, after.keys())}`;
    chain.push(leader);
  }
  return null;
}

export type SpecChange = 'created' | 'updated' | 'unchanged';

/** How a new document differs from the one in force, and whether copies have to be restarted for it. */
export function compareSpecs(
  before: JobSpec | undefined,
  after: JobSpec,
  same: (a: JobSpec, b: JobSpec) => boolean,
): { change: SpecChange; restarts: boolean } {
  if (!before) return { change: 'created', restarts: false };
  if (same(before, after)) return { change: 'unchanged', restarts: false };
  return { change: 'updated', restarts: runKey(before) !== runKey(after) };
}

/** A name that is safe in file names and copy ids, and not taken: "Portal Server" -> portal-server. */
export function slugFor(name: string, taken: ReadonlySet<string>): string {
  const plain =
    name
      .toLowerCase()
      .normalize('NFKD')
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 40) || 'job';
  let slug = plain;
  for (let n = 2; taken.has(slug); n++) slug = `${plain}-${n}`;
  return slug;
}
