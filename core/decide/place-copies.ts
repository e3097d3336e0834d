import type { JobRecord } from '../model/job.ts';
import type { MachineType } from '../model/plan.ts';
import type { Seat, WorkingState } from './working-state.ts';

/** A copy that is wanted and has no machine yet. */
export interface Pending {
  job: JobRecord;
  zone: string;
  cpu: number;
  mem: number;
  /** What the first copy of the job on a machine brings along: one copy of each job that is linked to it. */
  alongCpu: number;
  alongMem: number;
  reason: string;
}

/** MB that weigh as much as one core when sizes are compared and no price is known. */
const MB_PER_CORE = 2048;
/** Sums of tenths do not come out even: .1 + .2 > .3. */
const SLACK = 1e-6;

/** Gives each pending copy a machine: the best fitting one that there is, or else one of the smallest set of new ones. */
export function placeCopies(work: WorkingState, pending: readonly Pending[]): void {
  const byZone = new Map<string, Pending[]>();
  for (const item of pending) {
    const items = byZone.get(item.zone);
    if (items) items.push(item);
    else byZone.set(item.zone, [item]);
  }
  for (const [zone, items] of byZone) {
    items.sort((a, b) => weigh(b.cpu, b.mem) - weigh(a.cpu, a.mem));
    const homeless = items.filter((item) => {
      const seat = bestSeat(work.seatsByZone.get(zone) ?? [], item);
      if (seat) place(work, item, seat);
      return !seat;
    });
    if (homeless.length > 0) orderFor(work, zone, homeless);
  }
}

/** Best fit: fewest copies of the same job where they are to spread, then the tightest place, then a ready machine, then the oldest. */
function bestSeat(seats: readonly Seat[], item: Pending): Seat | undefined {
  const spread = item.job.spec.place.spread === 'soft';
  let best: Seat | undefined;
  let bestSame = 0;
  let bestLeft = 0;
  for (const seat of seats) {
    if (!seat.open || !fits(seat, item)) continue;
    const same = spread ? (seat.jobs.get(item.job.name) ?? 0) : 0;
    const left = weigh(seat.freeCpu, seat.freeMem) + (seat.ready ? 0 : SLACK);
    if (best === undefined || same < bestSame || (same === bestSame && left < bestLeft)) {
      best = seat;
      bestSame = same;
      bestLeft = left;
    }
  }
  return best;
}

function fits(seat: Seat, item: Pending): boolean {
  const first = (seat.jobs.get(item.job.name) ?? 0) === 0;
  const cpu = item.cpu + (first ? item.alongCpu : 0);
  const mem = item.mem + (first ? item.alongMem : 0);
  return cpu <= seat.freeCpu + SLACK && mem <= seat.freeMem + SLACK;
}

function place(work: WorkingState, item: Pending, seat: Seat): void {
  const { job, zone, cpu, mem, reason } = item;
  work.actions.push({
    kind: 'place-copy',
    copy: work.nextCopyId(job),
    job: job.name,
    version: job.version,
    zone,
    machine: seat.id,
    cpu,
    mem,
    reason,
  });
  if ((seat.jobs.get(job.name) ?? 0) === 0 && (item.alongCpu > 0 || item.alongMem > 0)) {
    seat.freeCpu -= item.alongCpu;
    seat.freeMem -= item.alongMem;
    seat.pledgedTo.add(job.name);
  }
  work.take(seat, job.name, cpu, mem);
}

/** Orders machines until everything of `items` has a place, each time the size that is used best for its price. */
function orderFor(work: WorkingState, zone: string, items: Pending[]): void {
  const types = work.snapshot.types(zone);
  const lost = work.lost.filter((machine) => machine.zone === zone);
  let rest = items;
  while (rest.length > 0) {
    const [first] = rest;
    if (!first) return;
    const like = lost.shift();
    const likeType = like && { name: like.type, cpu: like.cpu, mem: like.mem };
    const choice = likeType && pack(likeType, rest).length > 0 ? likeType : cheapest(types, rest);
    if (!choice) {
      const sizes = types.map((type) => `${type.name} (${type.cpu} cores, ${type.mem} MB)`).join(', ') || 'none';
      work.complain(
        { job: first.job.name, zone },
        `a copy of "${first.job.name}" needs ${first.cpu + first.alongCpu} cores and ${first.mem + first.alongMem} MB; no machine type of ${zone} is that large: ${sizes}`,
      );
      rest = rest.filter((item) => item.job !== first.job);
      continue;
    }
    const replaces = like && choice === likeType ? like.id : null;
    const packed = new Set(pack(choice, rest));
    const jobs = [...new Set([...packed].map((item) => `"${item.job.name}"`))].join(', ');
    const reason = replaces
      ? `replaces ${replaces}, which is lost`
      : `${packed.size} ${packed.size === 1 ? 'copy' : 'copies'} of ${jobs} had no room in ${zone}`;
    const seat = work.orderMachine(zone, choice, replaces, reason);
    for (const item of packed) place(work, item, seat);
    rest = rest.filter((item) => !packed.has(item));
  }
}

/** The size with the most reservation packed per price; of equals the larger, which makes fewer machines. */
function cheapest(types: readonly MachineType[], items: readonly Pending[]): MachineType | undefined {
  let best: { type: MachineType; worth: number } | undefined;
  for (const type of types) {
    const packed = pack(type, items).reduce((sum, item) => sum + weigh(item.cpu, item.mem), 0);
    if (packed === 0) continue;
    const worth = packed / (type.price ?? weigh(type.cpu, type.mem));
    const better = best === undefined || worth > best.worth + SLACK;
    const equal = best !== undefined && Math.abs(worth - best.worth) <= SLACK;
    if (better || (equal && best !== undefined && weigh(type.cpu, type.mem) > weigh(best.type.cpu, best.type.mem)))
      best = { type, worth };
  }
  return best?.type;
}

/** What of `items`, largest first, goes into one machine of this size. */
function pack(type: Pick<MachineType, 'cpu' | 'mem'>, items: readonly Pending[]): Pending[] {
  let cpu = type.cpu + SLACK;
  let mem = type.mem + SLACK;
  const packed: Pending[] = [];
  const jobs = new Set<JobRecord>();
  for (const item of items) {
    const first = !jobs.has(item.job);
    const needCpu = item.cpu + (first ? item.alongCpu : 0);
    const needMem = item.mem + (first ? item.alongMem : 0);
    if (needCpu > cpu || needMem > mem) continue;
    cpu -= needCpu;
    mem -= needMem;
    jobs.add(item.job);
    packed.push(item);
    if (cpu <= SLACK || mem <= SLACK) break;
  }
  return packed;
}

function weigh(cpu: number, mem: number): number {
  return cpu + mem / MB_PER_CORE;
}
