import { orderMachines } from './order-machines.ts';
import { type Pending, place } from './pending.ts';
import { type Candidate, SeatHeap } from './seat-heap.ts';
import { SLACK, suits, weigh } from './sizes.ts';
import type { Seat, WorkingState } from './working-state.ts';

/** Gives all pending copies machines: the best fitting ones that there are, or else the smallest set of new ones. */
export function placeCopies(work: WorkingState, pending: readonly Pending[]): void {
  const byZone = new Map<string, Pending[]>();
  for (const item of pending) {
    const items = byZone.get(item.zone);
    if (items) items.push(item);
    else byZone.set(item.zone, [item]);
  }
  for (const [zone, items] of byZone) {
    items.sort((a, b) => weigh(b.cpu, b.mem) - weigh(a.cpu, a.mem));
    const homeless: Pending[] = [];
    for (const item of items) {
      const count = item.count - seat(work, item);
      if (count > 0) homeless.push({ ...item, count });
    }
    if (homeless.length > 0) orderMachines(work, zone, homeless);
  }
}

/**
 * Best fit: where fewest copies of the same job are, if they are to spread, then the tightest place, then a ready machine, then the
 * oldest. Returns how many copies found a place.
 */
function seat(work: WorkingState, item: Pending): number {
  const { spread } = item.job.spec.place;
  const seats = work.seatsByZone.get(item.zone) ?? [];
  const candidates: Candidate[] = [];
  for (const [order, seat] of seats.entries()) {
    if (!seat.open || !fits(seat, item)) continue;
    const here = seat.jobs.get(item.job.name) ?? 0;
    if (here > 0 && spread === 'hard') continue;
    candidates.push({ seat, same: spread === 'soft' ? here : 0, left: roomOf(seat), order });
  }
  const heap = new SeatHeap(candidates);
  for (let placed = 0; placed < item.count; placed++) {
    const { best } = heap;
    if (best === undefined) return placed;
    place(work, item, best.seat);
    if (spread === 'hard' || !fits(best.seat, item)) {
      heap.drop();
    } else {
      if (spread === 'soft') best.same += 1;
      best.left = roomOf(best.seat);
      heap.settle();
    }
  }
  return item.count;
}

function roomOf(seat: Seat): number {
  return weigh(seat.freeCpu, seat.freeMem) + (seat.ready ? 0 : SLACK);
}

function fits(seat: Seat, item: Pending): boolean {
  const { job, cpu, mem, alongCpu, alongMem } = item;
  if (cpu > seat.freeCpu + SLACK || mem > seat.freeMem + SLACK) return false;
  const bringsAlong = (alongCpu > 0 || alongMem > 0) && (seat.jobs.get(job.name) ?? 0) === 0;
  if (bringsAlong && (cpu + alongCpu > seat.freeCpu + SLACK || mem + alongMem > seat.freeMem + SLACK)) return false;
  return suits(seat.type, seat.labels, job);
}
