import type { ClusterRecords } from './cluster-records.ts';

/** Versions of a job that are kept, beside those that copies still run with and the one to go back to. */
const KEPT_VERSIONS = 10;

/** The keys of the versions of a job that go when `newest` comes. */
export function surplusVersions(
  records: Pick<ClusterRecords, 'jobs' | 'copies' | 'versions'>,
  job: string,
  newest: number,
): string[] {
  const inUse = new Set([...records.copies.values()].filter((copy) => copy.job === job).map((copy) => copy.version));
  inUse.add(records.jobs.get(job)?.goodVersion ?? newest);
  return [...records.versions.entries()]
    .filter(
      ([, version]) => version.job === job && version.version <= newest - KEPT_VERSIONS && !inUse.has(version.version),
    )
    .map(([key]) => key);
}
