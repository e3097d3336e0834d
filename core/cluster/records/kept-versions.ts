import type { ClusterRecords } from './cluster-records.ts';

/** Versions of a job that are kept, beside those that copies still run with and the one to go back to. */
const KEPT_VERSIONS = 10;

/** The versions of a job that may have to be started once more: those that copies run with, and the one to go back to. */
export function versionsInUse(records: Pick<ClusterRecords, 'jobs' | 'copies'>, job: string): Set<number> {
  const inUse = new Set([...records.copies.values()].filter((copy) => copy.job === job).map((copy) => copy.version));
  const good = records.jobs.get(job)?.goodVersion ?? null;
  return good === null ? inUse : inUse.add(good);
}

/** The keys of the versions of a job that go when `newest` comes. */
export function surplusVersions(
  records: Pick<ClusterRecords, 'jobs' | 'copies' | 'versions'>,
  job: string,
  newest: number,
): string[] {
  const inUse = versionsInUse(records, job);
  return [...records.versions.entries()]
    .filter(
      ([, version]) => version.job === job && version.version <= newest - KEPT_VERSIONS && !inUse.has(version.version),
    )
    .map(([key]) => key);
}
