import { orderMachines } from './order-machines.ts';
import { type Pending, place, zonesOf } from './pending.ts';
import { type Candidate, SeatHeap } from './seat-heap.ts';
import { SLACK, suits, weigh } from './sizes.ts';
import type { Seat, WorkingState } from './working-state.ts';

/**
 * Gives all pending copies machines: the best fitting ones that there are, or else the smallest set of new ones. For what a zone has no
 * machine just now, its job may allow the next one.
 */
export function placeCopies(work: WorkingState, pending: readonly Pending[]): void {
  let here: readonly Pending[] = pending;
  for (let turn = 0; here.length > 0; turn++) {
    const byZone = new Map<string, Pending[]>();
    for (const item of here) {
      const zone = zonesOf(item)[turn] ?? item.zone;
      const items = byZone.get(zone);
      if (items) items.push(item);
      else byZone.set(zone, [item]);
    }
    here = [...byZone].flatMap(([zone, items]) => placeIn(work, zone, items, turn));
  }
}

/** Places what it can in one zone. Returns what is to be placed in the next one. */
function placeIn(work: WorkingState, zone: string, items: Pending[], turn: number): Pending[] {
  items.sort((a, b) => weigh(b.cpu, b.mem) - weigh(a.cpu, a.mem));
  const homeless: Pending[] = [];
  for (const item of items) {
    const count = item.count - seat(work, zone, item);
    if (count > 0) homeless.push({ ...item, count });
  }
  return homeless.length > 0 ? orderMachines(work, zone, homeless, turn) : [];
}

/**
 * Best fit: where fewest copies of the same job are, if they are to spread, then the tightest place, then a ready machine, then the
 * oldest. Returns how many copies found a place.
 */
function seat(work: WorkingState, zone: string, item: Pending): number {
  const { spread } = item.job.spec.place;
  const seats = work.seatsByZone.get(zone) ?? [];
  const places = work.placesOf(item.job.name);
  const candidates: Candidate[] = [];
  for (const [order, seat] of seats.entries()) {
    if (!seat.open || !fits(seat, item, 1)) continue;
    const here = places.get(seat.id) ?? 0;
    if (!fits(seat, item, here) || !suits(seat.type, seat.labels, item.job)) continue;
    if (here > 0 && spread === 'hard') continue;
    candidates.push({ seat, same: spread === 'soft' ? here : 0, left: roomOf(seat), order });
  }
  const heap = new SeatHeap(candidates);
  for (let placed = 0; placed < item.count; placed++) {
    const { best } = heap;
    if (best === undefined) return placed;
    place(work, item, best.seat);
    if (spread === 'hard' || !fits(best.seat, item, 1)) {
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

/** The first copy of a job on a machine brings along those that are linked to it. */
function fits(seat: Seat, item: Pending, here: number): boolean {
  const cpu = here > 0 ? item.cpu : item.cpu + item.alongCpu;
  const mem = here > 0 ? item.mem : item.mem + item.alongMem;
  return cpu <= seat.freeCpu + SLACK && mem <= seat.freeMem + SLACK;
}
