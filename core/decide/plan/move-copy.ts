import type { CopyRecord } from '../../model/copy.ts';
import { type JobRecord, reservationOf } from '../../model/job.ts';
import { followLeader } from './follow-leaders.ts';
import type { LinkedJobs } from './linked-jobs.ts';
import { placeCopies } from './place-copies.ts';
import type { WorkingState } from './working-state.ts';

/**
 * Moves a copy for whose next version its machine has no room: its successor is given a place, on a new machine if need be, and only
 * then is it stopped. False: there is no place; it stays as it is, and that is said.
 */
export function moveCopy(work: WorkingState, links: LinkedJobs, job: JobRecord, copy: CopyRecord): boolean {
  const { zone, machine, version } = copy;
  const { cpu, mem } = reservationOf(job.spec, zone);
  const along = links.alongside(job.name, zone);
  const why = outgrown(job, copy);
  const before = work.actions.length;
  placeCopies(work, [
    {
      job,
      zone,
      fallback: job.spec.deployment_layout[zone]?.fallback ?? [],
      count: 1,
      cpu,
      mem,
      run: null,
      version: job.version,
      alongCpu: along.cpu,
      alongMem: along.mem,
      reason: `"${job.name}" goes from version ${version} to ${job.version}`,
      instead: [{ copy: copy.id, why }],
    },
  ]);
  if (work.actions.length === before) {
    work.complain(
      { job: job.name, machine },
      `${why}; nor is there another place, so ${copy.id} stays at version ${version} until there is one`,
    );
    return false;
  }
  work.stopCopy(copy, why);
  // What is linked to it goes with it, before its room is given to others.
  for (const follower of links.chainsInOrder())
    if (links.rootOf(follower).name === job.name && follower.state === 'active') followLeader(work, links, follower);
  return true;
}

/** Why a copy cannot have its job's next version where it is. */
export function outgrown(job: JobRecord, { zone, machine }: Pick<CopyRecord, 'zone' | 'machine'>): string {
  const { cpu, mem } = reservationOf(job.spec, zone);
  return `version ${job.version} of "${job.name}" needs ${cpu} cores and ${mem} MB, for which ${machine} has no room`;
}
