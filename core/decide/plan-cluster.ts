import type { CopyRecord } from '../model/copy.ts';
import type { JobRecord } from '../model/job.ts';
import type { ClusterSnapshot, Plan } from '../model/plan.ts';
import { fillJob, followLeader, rollJob } from './fill-jobs.ts';
import { judgeMachines } from './judge-machines.ts';
import { LinkedJobs } from './linked-jobs.ts';
import { type Pending, placeCopies } from './place-copies.ts';
import { shedMachines } from './shed-machines.ts';
import { WorkingState } from './working-state.ts';

/**
 * What should change in the cluster's records, given all that is known. Pure: the same snapshot gives the same plan,
 * and the plan of a snapshot to which a plan was applied is empty, but for time and news.
 */
export function planCluster(snapshot: ClusterSnapshot): Plan {
  const work = new WorkingState(snapshot);
  judgeMachines(work);
  seatCopies(work);

  const links = new LinkedJobs(snapshot.jobs);
  const pending: Pending[] = [];
  for (const job of snapshot.jobs.values()) {
    if (isGoing(job, snapshot.jobs)) endJob(work, job);
    else if (job.spec.linked_job === undefined) for (const missing of fillJob(work, links, job)) pending.push(missing);
  }
  placeCopies(work, pending);
  for (const job of links.chainsInOrder()) if (!isGoing(job, snapshot.jobs)) followLeader(work, links, job);
  for (const job of snapshot.jobs.values()) if (!isGoing(job, snapshot.jobs)) rollJob(work, job);
  shedMachines(work);
  return work.plan();
}

/** Gives every machine that is not lost a seat, and puts on it the copies that it has. Copies of lost machines are forgotten. */
function seatCopies(work: WorkingState): void {
  const { machines, copies } = work.snapshot;
  const lostNow = new Set(work.lost.map((machine) => machine.id));
  for (const machine of machines.values()) {
    if (machine.state !== 'lost' && machine.state !== 'terminating' && !lostNow.has(machine.id)) work.addSeat(machine);
  }
  for (const copy of copies.values()) {
    const seat = work.seats.get(copy.machine);
    if (!seat) {
      work.actions.push({ kind: 'forget-copy', copy: copy.id, reason: `its machine ${copy.machine} is gone` });
      continue;
    }
    work.take(seat, copy.job, copy.cpu, copy.mem);
    if (copy.wanted === 'stop') {
      work.stoppingByJob.set(copy.job, (work.stoppingByJob.get(copy.job) ?? 0) + 1);
      work.leaveJob(seat, copy.job);
    } else {
      remember(work.copiesByJob, copy);
    }
  }
}

function remember(index: Map<string, CopyRecord[]>, copy: CopyRecord): void {
  const copies = index.get(copy.job);
  if (copies) copies.push(copy);
  else index.set(copy.job, [copy]);
}

/** Being removed itself, or linked to one that is: removing B removes A. */
function isGoing(job: JobRecord, jobs: ReadonlyMap<string, JobRecord>): boolean {
  if (job.state === 'removing') return true;
  if (job.spec.linked_job === undefined) return false;
  const leader = jobs.get(job.spec.linked_job);
  return leader === undefined || isGoing(leader, jobs);
}

function endJob(work: WorkingState, job: JobRecord): void {
  for (const copy of work.copiesByJob.get(job.name) ?? []) work.stopCopy(copy, `"${job.name}" is being removed`);
  if (!work.stoppingByJob.has(job.name)) {
    work.actions.push({ kind: 'forget-job', job: job.name, reason: 'all its copies have ended' });
  }
}
