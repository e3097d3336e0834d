import type { CopyRecord } from '../../model/copy.ts';
import type { JobRecord } from '../../model/job.ts';
import { isOnItsWay } from '../../model/machine.ts';
import type { ClusterSnapshot, Plan } from '../../model/plan.ts';
import type { TaskConfiguration } from '../../model/task-configuration.ts';
import { fillJob } from './fill-jobs.ts';
import { followLeader } from './follow-leaders.ts';
import { takeFound } from './found-tasks.ts';
import { isOver } from './is-over.ts';
import { noteOutcome, stepRuns } from './job-runs.ts';
import { judgeMachines } from './judge-machines.ts';
import { LinkedJobs } from './linked-jobs.ts';
import type { Pending } from './pending.ts';
import { placeCopies } from './place-copies.ts';
import { rollJob } from './roll-out.ts';
import { shedMachines } from './shed-machines.ts';
import { singletonFreeAt } from './singleton-free-at.ts';
import { noteStrangers } from './strangers.ts';
import { uncordonMachines } from './uncordon-machines.ts';
import { type Seat, WorkingState } from './working-state.ts';

/**
 * What should change in the cluster's records, given all that is known. Pure: the same snapshot gives the same plan,
 * and the plan of a snapshot to which a plan was applied is empty, but for time and news.
 */
export function planCluster(snapshot: ClusterSnapshot): Plan {
  const taken = takeFound(snapshot);
  if (taken.length > 0) return { actions: taken, complaints: [], wakeAt: null };
  const work = new WorkingState(snapshot);
  noteStrangers(work);
  judgeMachines(work);
  uncordonMachines(work);
  seatCopies(work);

  const links = new LinkedJobs(snapshot.jobs);
  const pending: Pending[] = [];
  for (const job of snapshot.jobs.values()) {
    if (isGoing(job, snapshot.jobs)) {
      endJob(work, job);
    } else if (job.spec.linked_job === undefined) {
      stepRuns(work, job);
      for (const missing of fillJob(work, links, job)) pending.push(missing);
    }
  }
  placeCopies(work, pending);
  for (const job of links.chainsInOrder()) if (!isGoing(job, snapshot.jobs)) followLeader(work, links, job);
  // Leaders first: what they move takes its followers along.
  for (const job of snapshot.jobs.values())
    if (job.spec.linked_job === undefined && !isGoing(job, snapshot.jobs)) rollJob(work, links, job);
  for (const job of links.chainsInOrder()) if (!isGoing(job, snapshot.jobs)) rollJob(work, links, job);
  shedMachines(work);
  return work.plan();
}

/** Gives every machine that is not lost a seat, and puts on it the copies that it has. Copies of lost machines are forgotten. */
function seatCopies(work: WorkingState): void {
  const { machines, copies } = work.snapshot;
  const lostNow = new Set(work.lost.map((machine) => machine.id));
  for (const machine of machines.values()) {
    const stays = machine.state !== 'lost' && machine.state !== 'terminating';
    if (!stays || lostNow.has(machine.id) || work.withdrawn.has(machine.id)) continue;
    const seat = work.addSeat(machine);
    // What was found there takes its room, and keeps the machine, for as long as it is left alone.
    for (const { configuration } of machine.found ?? []) occupy(seat, configuration);
  }
  for (const copy of copies.values()) {
    const seat = work.seats.get(copy.machine);
    if (!seat) {
      withoutSeat(work, copy);
      continue;
    }
    if (copy.wanted === 'stop' && neverBegan(work, copy)) {
      work.actions.push({ kind: 'forget-copy', copy: copy.id, reason: `${copy.reason}, before it was begun` });
      continue;
    }
    if (isOver(work.snapshot, copy)) {
      if (copy.outcome === null && copy.wanted === 'run') noteOutcome(work, copy);
      // It stays for its logs' sake, takes no room and keeps no machine, until its job's next run has ended.
      if (copy.wanted === 'run' && isOutdated(work, copy)) work.stopCopy(copy, 'a later run has ended too');
      continue;
    }
    seat.freeCpu -= copy.cpu;
    seat.freeMem -= copy.mem;
    seat.copies += 1;
    if (copy.wanted === 'stop') {
      work.stoppingByJob.set(copy.job, (work.stoppingByJob.get(copy.job) ?? 0) + 1);
      if (work.snapshot.jobs.get(copy.job)?.spec.singleton) holdBack(work, copy);
    } else {
      work.remember(copy);
    }
  }
}

/** Its machine was never there to be given it: nothing of it can run, and nobody could be told to end it. */
function neverBegan({ snapshot }: WorkingState, copy: CopyRecord): boolean {
  const machine = snapshot.machines.get(copy.machine);
  return machine !== undefined && isOnItsWay(machine) && copy.taskVersion === null && copy.recipeVersion === null;
}

function occupy(seat: Seat, { cpu = 1, mem = 128 }: Pick<TaskConfiguration, 'cpu' | 'mem'>): void {
  seat.freeCpu -= cpu;
  seat.freeMem -= mem;
  seat.copies += 1;
}

function isOutdated(work: WorkingState, copy: CopyRecord): boolean {
  const runs = work.snapshot.jobs.get(copy.job)?.runs ?? [];
  return runs.some((run) => run.id > (copy.run ?? 0) && run.state !== 'running' && run.state !== 'skipped');
}

function withoutSeat(work: WorkingState, copy: CopyRecord): void {
  const { snapshot } = work;
  const job = snapshot.jobs.get(copy.job);
  // What did its part of a run that goes on is remembered, and not done again elsewhere; of a job that goes there is nothing to do.
  const goesOn =
    job?.runs.some((run) => run.id === copy.run && run.state === 'running') && !isGoing(job, snapshot.jobs);
  if (goesOn && copy.outcome !== null && copy.wanted === 'run') {
    work.remember(copy);
    return;
  }
  const free = job?.spec.singleton ? singletonFreeAt(snapshot, copy, job) : 0;
  if (free > snapshot.now) {
    holdBack(work, copy);
    work.wake(free);
    return;
  }
  work.forget(copy);
}

/** Its place stays taken: nothing is begun in its stead yet. */
function holdBack(work: WorkingState, copy: CopyRecord): void {
  const key = `${copy.job}/${copy.zone}`;
  work.heldBack.set(key, (work.heldBack.get(key) ?? 0) + 1);
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
