import type { CopyRecord } from '../../model/copy.ts';
import { type JobRecord, reservationOf } from '../../model/job.ts';
import { SLACK } from './sizes.ts';
import type { WorkingState } from './working-state.ts';

/** Whether copies of a job go to its version now: its roll-out is neither paused nor has it failed. */
export function mayGoOn(job: JobRecord): boolean {
  return job.rollout === null || (!job.rollout.paused && job.rollout.failed === null);
}

/** Whether its job's version has room where a copy is, in its place. */
export function hasRoom(work: WorkingState, job: JobRecord, copy: CopyRecord): boolean {
  const { cpu, mem } = reservationOf(job.spec, copy.zone);
  const seat = work.seats.get(copy.machine);
  return !seat || (cpu - copy.cpu <= seat.freeCpu + SLACK && mem - copy.mem <= seat.freeMem + SLACK);
}

/** Whether a copy is not of its job's version, and does not come to it where it is: nobody beside it need wait for that. */
export function staysBehind(work: WorkingState, job: JobRecord, copy: CopyRecord): boolean {
  return copy.version !== job.version && (!mayGoOn(job) || !hasRoom(work, job, copy));
}
