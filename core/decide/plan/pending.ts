import type { JobRecord } from '../../model/job.ts';
import type { Predecessor, Seat, WorkingState } from './working-state.ts';

/** Copies of one kind that are wanted and have no machine yet. */
export interface Pending {
  job: JobRecord;
  /** Of the job's layout, which is where they count, wherever they are placed. */
  zone: string;
  /** Where they may be placed instead when their zone has no machine for them, in this order. */
  fallback: readonly string[];
  count: number;
  /** What each of them reserves: cores and MB. */
  cpu: number;
  mem: number;
  run: number | null;
  version: number;
  /** What the first copy of the job on a machine brings along: one copy of each job that is linked to it. */
  alongCpu: number;
  alongMem: number;
  reason: string;
  /** In whose stead they are begun, the first of them first; there may be fewer than are wanted. */
  instead: Predecessor[];
}

/** Where they may be placed, in this order. */
export function zonesOf({ zone, fallback }: Pick<Pending, 'zone' | 'fallback'>): readonly string[] {
  return [zone, ...fallback];
}

/** Puts one copy onto a machine that has room for it. */
export function place(work: WorkingState, item: Omit<Pending, 'count'>, seat: Seat): void {
  const { job, zone, cpu, mem, run, version } = item;
  const before = item.instead.shift();
  work.actions.push({
    kind: 'place-copy',
    copy: work.nextCopyId(job),
    job: job.name,
    version,
    zone,
    machine: seat.id,
    cpu,
    mem,
    run,
    linked: {},
    ...(before && { insteadOf: before.copy }),
    reason: before ? `${item.reason}, in place of ${before.copy} (${before.why})` : item.reason,
  });
  if ((item.alongCpu > 0 || item.alongMem > 0) && !work.placesOf(job.name).get(seat.id)) {
    seat.freeCpu -= item.alongCpu;
    seat.freeMem -= item.alongMem;
    seat.pledgedTo.add(job.name);
  }
  work.place(seat, job.name, { cpu, mem });
}
