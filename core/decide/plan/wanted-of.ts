import { copiesIn, type JobRecord } from '../../model/job.ts';
import type { WorkingState } from './working-state.ts';

/** Copies that there should be: by its layout, or one on each machine that its leader is on. */
export function wantedOf(work: WorkingState, job: JobRecord): number {
  const leader = job.spec.linked_job;
  if (leader === undefined)
    return Object.values(job.spec.deployment_layout).reduce((sum, entry) => sum + copiesIn(entry), 0);
  let machines = 0;
  for (const copies of work.placesOf(leader).values()) if (copies > 0) machines += 1;
  return machines;
}
