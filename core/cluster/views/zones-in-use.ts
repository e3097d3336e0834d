import type { ClusterRecords } from '../records/cluster-records.ts';

/** The zones that jobs are laid out in, or that have machines; by name. */
export function zonesInUse({ jobs, machines }: Pick<ClusterRecords, 'jobs' | 'machines'>): string[] {
  const zones = new Set([...machines.values()].map(({ zone }) => zone));
  for (const { spec } of jobs.values()) for (const zone of Object.keys(spec.deployment_layout)) zones.add(zone);
  return [...zones].sort();
}
