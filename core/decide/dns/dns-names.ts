import { MAX_NAME } from '../../model/dns-name.ts';
import type { JobRecord, JobSpec } from '../../model/job.ts';

/** Digits of the highest number that a copy's name is checked for. */
const NUMBER_ROOM = 5;

export type DnsScope = 'region' | 'zone';

/** `aws-us-west-2a` -> `aws-us-west-2`: the letter after a digit is the zone's own. `local-a` and `ssh-rack1` have none, and stay. */
export function regionOf(zone: string, scope: DnsScope): string {
  return scope === 'zone' ? zone : zone.replace(/(?<=\d)[a-z]$/, '');
}

/** Names are the same in capitals or not; ours are in lower case. */
export function basenameOf(spec: JobSpec): string | null {
  return spec.dns_basename?.toLowerCase() ?? null;
}

export function poolName(region: string, basename: string): string {
  return `${region}.${basename}`;
}

export function copyName(number: number, region: string, basename: string): string {
  return `${number}.${region}.${basename}`;
}

/** What a name's A record set is kept under: NAME/TYPE. */
export function dnsKey(name: string): string {
  return `${name}/A`;
}

/** The name of the TXT record that says whose a name is: one of its own, so that no text of anybody else's is in its way. */
export function markerName(name: string): string {
  return `_cerebro.${name}`;
}

/** "heritage=cerebro,cluster=ID", as other programs that write into shared zones have it. */
export function markerText(clusterId: string): string {
  return `heritage=cerebro,cluster=${clusterId}`;
}

/** Why jobs cannot have the names that they ask for, one sentence each; none: they can. */
export function checkDnsNames(
  specs: readonly JobSpec[],
  jobs: ReadonlyMap<string, JobRecord>,
  scope: DnsScope,
): string[] {
  const problems: string[] = [];
  const owners = new Map<string, string>();
  for (const job of jobs.values()) {
    const basename = basenameOf(job.spec);
    if (basename !== null) owners.set(basename, job.name);
  }
  for (const spec of specs) {
    const basename = basenameOf(spec);
    const { name } = spec.task_configuration;
    // What this file says of a job stands in the place of what was.
    for (const [taken, owner] of owners) if (owner === name) owners.delete(taken);
    if (basename === null) continue;
    const owner = owners.get(basename);
    const problem =
      owner === undefined
        ? checkBasename(basename, Object.keys(spec.deployment_layout), scope)
        : `these names are those of "${owner}" already; give one of the two another basename`;
    if (problem !== null) problems.push(`"${name}": dns_basename: ${problem}`);
    else owners.set(basename, name);
  }
  return problems;
}

/** The name itself was checked when it was read; here it is whether there is room for what goes before it. */
function checkBasename(basename: string, zones: readonly string[], scope: DnsScope): string | null {
  for (const zone of zones) {
    const longest = markerName(`${'9'.repeat(NUMBER_ROOM)}.${poolName(regionOf(zone, scope), basename)}`);
    const over = longest.length - MAX_NAME;
    if (over > 0)
      return `with the names of copies in ${zone} before it, it would be ${longest.length} characters long, and a DNS name has at most ${MAX_NAME}; expected a basename of at most ${basename.length - over}`;
  }
  return null;
}
