import type { CopyRecord } from '../model/copy.ts';
import { copiesIn, type JobRecord, reservationOf } from '../model/job.ts';
import type { LinkedJobs } from './linked-jobs.ts';
import type { Pending } from './place-copies.ts';
import type { WorkingState } from './working-state.ts';

/**
 * Compares what a job wants with what it has, zone by zone: stops what is too much and returns what is missing.
 * A copy on a machine that is being emptied counts until its replacement is ready, and is not stopped before.
 */
export function fillJob(work: WorkingState, links: LinkedJobs, job: JobRecord): Pending[] {
  const copies = work.copiesByJob.get(job.name) ?? [];
  const layout = job.spec.deployment_layout;
  const byZone = new Map<string, CopyRecord[]>();
  for (const copy of copies) {
    const inZone = byZone.get(copy.zone);
    if (inZone) inZone.push(copy);
    else byZone.set(copy.zone, [copy]);
  }
  for (const [zone, inZone] of byZone) {
    if (layout[zone] === undefined)
      for (const copy of inZone) work.stopCopy(copy, `"${job.name}" has left zone ${zone}`);
  }
  const pending: Pending[] = [];
  for (const [zone, entry] of Object.entries(layout)) {
    const wanted = copiesIn(entry);
    const missing = fillZone(work, job, zone, wanted, byZone.get(zone) ?? []);
    if (missing === 0) continue;
    const { cpu, mem } = reservationOf(job.spec, zone);
    const along = links.alongside(job.name, zone);
    for (let i = 0; i < missing; i++) {
      const reason = `"${job.name}" wants ${wanted} in ${zone}`;
      pending.push({ job, zone, cpu, mem, alongCpu: along.cpu, alongMem: along.mem, reason });
    }
  }
  return pending;
}

/** Stops the surplus of a zone and returns how many copies are missing there. */
function fillZone(
  work: WorkingState,
  job: JobRecord,
  zone: string,
  wanted: number,
  copies: readonly CopyRecord[],
): number {
  let staying = copies;
  if (copies.some((copy) => !work.seats.get(copy.machine)?.open)) {
    staying = copies.filter((copy) => work.seats.get(copy.machine)?.open);
    const leaving = copies.filter((copy) => !work.seats.get(copy.machine)?.open && isBeingEmptied(work, copy));
    // A cordoned machine gets nothing new, but what it has stays and counts.
    const settled = copies.filter((copy) => !work.seats.get(copy.machine)?.open && !isBeingEmptied(work, copy));
    staying = [...staying, ...settled];
    const ready = staying.filter((copy) => isReady(work, copy)).length;
    const hold = Math.max(0, wanted - ready);
    for (const copy of leaving.slice(hold)) work.stopCopy(copy, `moved away from ${copy.machine}`);
  }
  if (staying.length <= wanted) return wanted - staying.length;
  const order = [...staying].sort(
    (a, b) =>
      Number(isReady(work, a)) - Number(isReady(work, b)) || b.createdAt - a.createdAt || serialOf(b) - serialOf(a),
  );
  for (const copy of order.slice(0, staying.length - wanted))
    work.stopCopy(copy, `"${job.name}" wants only ${wanted} in ${zone}`);
  return 0;
}

/** Puts one copy of a linked job on every machine that its leader runs on, and on no other. */
export function followLeader(work: WorkingState, links: LinkedJobs, job: JobRecord): void {
  const leader = job.spec.linked_job;
  if (leader === undefined) return;
  const root = links.rootOf(job).name;
  const machines = new Set(
    [...work.seats.values()].filter((seat) => (seat.jobs.get(leader) ?? 0) > 0).map((seat) => seat.id),
  );
  for (const copy of work.copiesByJob.get(job.name) ?? []) {
    if (machines.delete(copy.machine)) continue;
    work.stopCopy(copy, `"${leader}", to which "${job.name}" is linked, does not run on ${copy.machine}`);
  }
  for (const id of machines) {
    const seat = work.seats.get(id);
    if (!seat) continue;
    const { cpu, mem } = reservationOf(job.spec, seat.zone);
    if (!seat.pledgedTo.has(root)) {
      if (cpu > seat.freeCpu + 1e-6 || mem > seat.freeMem + 1e-6) {
        work.complain(
          { job: job.name, machine: id },
          `"${job.name}" is to follow "${leader}" on ${id}, but needs ${cpu} cores and ${mem} MB and ${seat.freeCpu} and ${seat.freeMem} are free`,
        );
        continue;
      }
      work.take(seat, job.name, cpu, mem);
    } else {
      // Its room was taken together with its leader's.
      seat.jobs.set(job.name, (seat.jobs.get(job.name) ?? 0) + 1);
      seat.copies += 1;
    }
    const reason = `follows "${leader}" on ${id}`;
    work.actions.push({
      kind: 'place-copy',
      copy: work.nextCopyId(job),
      job: job.name,
      version: job.version,
      zone: seat.zone,
      machine: id,
      cpu,
      mem,
      reason,
    });
  }
}

/** Brings copies to the job's newest version, at most `max_parallel` of them down by our hand at a time. */
export function rollJob(work: WorkingState, job: JobRecord): void {
  const copies = (work.copiesByJob.get(job.name) ?? []).filter((copy) => !work.stopped.has(copy.id));
  let behind = 0;
  for (const copy of copies) if (copy.version !== job.version) behind++;
  if (behind === 0) return;

  const { now } = work.snapshot;
  const settleMs = job.spec.update.min_healthy * 1000;
  // What this plan has just placed is not ready either.
  const placed = work.actions.filter((action) => action.kind === 'place-copy' && action.job === job.name).length;
  let budget = job.spec.update.max_parallel - placed;
  for (const copy of copies) {
    if (copy.version !== job.version) continue;
    const startedAt = readySince(work, copy);
    if (startedAt === null) budget--;
    else if (now - startedAt < settleMs) {
      budget--;
      work.wake(startedAt + settleMs);
    }
  }
  if (budget <= 0) return;
  const wanted = Object.values(job.spec.deployment_layout).reduce((sum, entry) => sum + copiesIn(entry), 0);
  const missing = job.spec.linked_job === undefined ? wanted - copies.length : 0;
  const next = copies
    .filter((copy) => copy.version !== job.version)
    .sort((a, b) => Number(isReady(work, a)) - Number(isReady(work, b)) || serialOf(a) - serialOf(b))
    .slice(0, budget);
  for (const copy of next) {
    const { cpu, mem } = reservationOf(job.spec, copy.zone);
    const seat = work.seats.get(copy.machine);
    if (!seat) continue;
    if (cpu - copy.cpu > seat.freeCpu + 1e-6 || mem - copy.mem > seat.freeMem + 1e-6) {
      // Not while others are missing: it might find no place either, and so all would go, one after another.
      if (missing > 0) continue;
      work.stopCopy(copy, `version ${job.version} needs ${cpu} cores and ${mem} MB, for which ${seat.id} has no room`);
      continue;
    }
    seat.freeCpu -= cpu - copy.cpu;
    seat.freeMem -= mem - copy.mem;
    work.actions.push({
      kind: 'update-copy',
      copy: copy.id,
      version: job.version,
      cpu,
      mem,
      reason: `"${job.name}" goes from version ${copy.version} to ${job.version}`,
    });
  }
}

/** Whether it runs the version that it should, by its machine's last report. */
function isReady(work: WorkingState, copy: CopyRecord): boolean {
  return readySince(work, copy) !== null;
}

function readySince(work: WorkingState, copy: CopyRecord): number | null {
  if (copy.taskVersion !== copy.version) return null;
  const task = work.snapshot.contacts.get(copy.machine)?.tasks?.get(copy.id);
  if (!task || task.version !== copy.version) return null;
  if (task.phase === 'exited') return 0;
  const well = task.health === null || task.health.state === 'healthy';
  return task.phase === 'running' && !task.flapping && well ? Date.parse(task.since) : null;
}

function isBeingEmptied(work: WorkingState, copy: CopyRecord): boolean {
  return work.snapshot.machines.get(copy.machine)?.state === 'draining';
}

function serialOf(copy: CopyRecord): number {
  return Number(copy.id.slice(copy.id.lastIndexOf('.') + 1));
}
