import { copiesIn, type JobSpec } from '../../model/job.ts';
import { basenameOf, copyName, type DnsScope, poolName, regionOf } from './dns-names.ts';

/** Where the names under a basename would be kept, as far as that is known. */
export type DnsHome =
  | { kind: 'at'; provider: string; zone: string; maxValues: number | null }
  | { kind: 'nobody' }
  | { kind: 'unclear'; sentence: string };

/** What a job's new configuration does to its names, and what stands in their way, one sentence each. `before`: the one in force. */
export function forecastNames(
  spec: JobSpec,
  before: JobSpec | undefined,
  home: DnsHome | null,
  scope: DnsScope,
): string[] {
  const sentences: string[] = [];
  const [wanted, had] = [poolsOf(spec, scope), before ? poolsOf(before, scope) : new Map<string, Pool>()];
  for (const name of had.keys())
    if (!wanted.has(name)) sentences.push(`remove the DNS name ${name} and those of its copies`);
  if (home === null || wanted.size === 0) return sentences;
  const basename = basenameOf(spec) ?? '';
  if (home.kind === 'nobody')
    return [...sentences, `cannot: no DNS provider serves ${basename}, so its names are not made until one does`];
  if (home.kind === 'unclear')
    return [...sentences, `cannot say yet where the names under ${basename} will be: ${home.sentence}`];
  for (const [name, pool] of wanted) {
    const where = `at ${home.provider}, zone ${home.zone}`;
    if (!had.has(name))
      sentences.push(`make the DNS name ${name} for the ready copies, and ${numbersOf(pool, basename)}, ${where}`);
    if (home.maxValues !== null && pool.count > home.maxValues)
      sentences.push(
        `cannot: ${name} is to have ${pool.count} addresses, and ${home.provider} can hold ${home.maxValues} at one name; ${home.maxValues} of the ready copies are answered`,
      );
  }
  return sentences;
}

interface Pool {
  region: string;
  count: number;
}

function poolsOf(spec: JobSpec, scope: DnsScope): Map<string, Pool> {
  const pools = new Map<string, Pool>();
  const basename = basenameOf(spec);
  if (basename === null) return pools;
  for (const [zone, entry] of Object.entries(spec.deployment_layout)) {
    const count = copiesIn(entry);
    if (count === 0) continue;
    const region = regionOf(zone, scope);
    const name = poolName(region, basename);
    pools.set(name, { region, count: count + (pools.get(name)?.count ?? 0) });
  }
  return pools;
}

function numbersOf({ region, count }: Pool, basename: string): string {
  const first = copyName(0, region, basename);
  return count === 1
    ? `${first} for its one copy`
    : `${first} to ${copyName(count - 1, region, basename)} for one each`;
}
