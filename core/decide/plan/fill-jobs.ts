import type { CopyRecord } from '../../model/copy.ts';
import { copiesIn, type JobRecord, reservationOf, runsByTurns } from '../../model/job.ts';
import { isReady, serialOf, taskInForce } from './copy-ready.ts';
import type { LinkedJobs } from './linked-jobs.ts';
import type { Pending } from './pending.ts';
import { type Predecessor, placeOf, type WorkingState } from './working-state.ts';

/** A set of copies that are wanted together: a job's standing ones, or those of one of its runs. */
interface Wanted {
  run: number | null;
  version: number;
  /** The sentence's beginning: `"web" wants`. */
  who: string;
}

/**
 * Compares what a job wants with what it has, zone by zone: stops what is too much and returns what is missing.
 * A copy on a machine that is being emptied counts until its replacement is ready, and is not stopped before.
 */
export function fillJob(work: WorkingState, links: LinkedJobs, job: JobRecord): Pending[] {
  const copies = work.copiesByJob.get(job.name) ?? [];
  if (job.stopped) {
    for (const copy of copies) work.stopCopy(copy, `"${job.name}" was stopped`);
    return [];
  }
  if (!runsByTurns(job)) {
    for (const copy of copies) if (copy.run !== null) work.stopCopy(copy, `"${job.name}" runs all the time now`);
    const standing = copies.every(({ run }) => run === null) ? copies : copies.filter(({ run }) => run === null);
    return fillSet(work, links, job, { run: null, version: job.version, who: `"${job.name}" wants` }, standing);
  }
  const going = job.runs.filter((run) => run.state === 'running');
  for (const copy of copies) {
    if (copy.run === null) work.stopCopy(copy, `"${job.name}" runs by turns now`);
    else if (!going.some((run) => run.id === copy.run)) work.stopCopy(copy, `run ${copy.run} was stopped`);
  }
  return going.flatMap(({ id, version }) =>
    fillSet(
      work,
      links,
      job,
      { run: id, version, who: `run ${id} of "${job.name}" wants` },
      copies.filter((copy) => copy.run === id),
    ),
  );
}

function fillSet(
  work: WorkingState,
  links: LinkedJobs,
  job: JobRecord,
  wants: Wanted,
  copies: readonly CopyRecord[],
): Pending[] {
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
  let free = job.spec.singleton ? freePlaces(work, job) : Number.POSITIVE_INFINITY;
  for (const [zone, entry] of Object.entries(layout)) {
    const wanted = copiesIn(entry);
    const held = work.heldBack.get(`${job.name}/${zone}`) ?? 0;
    const missing = Math.min(free, fillZone(work, job, zone, wanted, byZone.get(zone) ?? []) - held);
    if (missing <= 0) continue;
    free -= missing;
    const { cpu, mem } = reservationOf(job.spec, zone);
    const along = links.alongside(job.name, zone);
    const reason = `${wants.who} ${wanted} in ${zone}`;
    const { run, version } = wants;
    pending.push({
      job,
      zone,
      fallback: entry.fallback ?? [],
      count: missing,
      cpu,
      mem,
      run,
      version,
      alongCpu: along.cpu,
      alongMem: along.mem,
      reason,
      instead: predecessors(work, { job: job.name, zone, run }, byZone.get(zone) ?? []),
    });
  }
  return pending;
}

/** Whom copies that are begun now come after: those that went with their machines, and those that are to leave and have no successor yet. */
function predecessors(
  work: WorkingState,
  place: Pick<CopyRecord, 'job' | 'zone' | 'run'>,
  copies: readonly CopyRecord[],
): Predecessor[] {
  const gone = work.gone.get(placeOf(place)) ?? [];
  if (work.draining.size === 0) return gone;
  const succeeded = new Set(copies.map(({ insteadOf }) => insteadOf));
  const leaving = copies.filter((copy) => isLeaving(work, copy) && !succeeded.has(copy.id));
  return [...gone, ...leaving.map(({ id, machine }) => ({ copy: id, why: `${machine} is being emptied` }))];
}

/** How many copies of what may not run twice can be begun: as many as are wanted, less those that are there or still ending, in any zone. */
function freePlaces(work: WorkingState, job: JobRecord): number {
  let free = -(work.copiesByJob.get(job.name)?.length ?? 0);
  for (const entry of Object.values(job.spec.deployment_layout)) free += copiesIn(entry);
  for (const [place, held] of work.heldBack) if (place.startsWith(`${job.name}/`)) free -= held;
  return free;
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
  const leaving = work.draining.size === 0 ? [] : copies.filter((copy) => isLeaving(work, copy));
  if (leaving.length > 0) {
    staying = copies.filter((copy) => !isLeaving(work, copy));
    leave(work, job, wanted, staying, leaving);
    // What may not run twice is replaced only when it has ended: until then its place is taken.
    if (job.spec.singleton) return Math.max(0, wanted - staying.length - leaving.length);
  }
  if (staying.length <= wanted) return wanted - staying.length;
  const order = [...staying].sort(
    (a, b) =>
      Number(isReady(work.snapshot, a)) - Number(isReady(work.snapshot, b)) ||
      b.createdAt - a.createdAt ||
      serialOf(b) - serialOf(a),
  );
  for (const copy of order.slice(0, staying.length - wanted))
    work.stopCopy(copy, `"${job.name}" wants only ${wanted} in ${zone}`);
  return 0;
}

/** Stops copies on machines that are being emptied, as far as as many are ready elsewhere, or the machine's time is up. */
function leave(
  work: WorkingState,
  job: JobRecord,
  wanted: number,
  staying: readonly CopyRecord[],
  leaving: readonly CopyRecord[],
): void {
  const ready = staying.filter((copy) => isReady(work.snapshot, copy)).length;
  const hold = job.spec.singleton ? 0 : Math.max(0, wanted - ready);
  const patient: CopyRecord[] = [];
  for (const copy of leaving) {
    if (isOverdue(work, copy)) work.stopCopy(copy, `${copy.machine} is being drained, and its time is up`);
    else patient.push(copy);
  }
  // Those that serve stay the longest.
  patient.sort((a, b) => Number(isReady(work.snapshot, b)) - Number(isReady(work.snapshot, a)));
  for (const copy of patient.slice(hold)) work.stopCopy(copy, `moved away from ${copy.machine}`);
}

/**
 * A cordoned machine gets nothing new, but what it has stays and counts; from a draining one it leaves, but for what has done its part
 * of a run and is not to do it again elsewhere.
 */
function isLeaving(work: WorkingState, copy: CopyRecord): boolean {
  return work.draining.has(copy.machine) && !hasDoneItsPart(work, copy);
}

/** Also where this plan is the one that notes it. */
function hasDoneItsPart(work: WorkingState, copy: CopyRecord): boolean {
  if (copy.run === null || copy.outcome !== null) return copy.outcome !== null;
  const phase = taskInForce(work.snapshot, copy)?.phase;
  return phase === 'exited' || phase === 'failed';
}

function isOverdue(work: WorkingState, copy: CopyRecord): boolean {
  const until = work.snapshot.machines.get(copy.machine)?.drainUntil ?? null;
  if (until === null) return false;
  work.wake(until);
  return work.snapshot.now >= until;
}
