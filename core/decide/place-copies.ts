import type { JobRecord } from '../model/job.ts';
import type { MachineRecord } from '../model/machine.ts';
import { type MachineType, sizeKey } from '../model/plan.ts';
import { suitsPlace } from './suits-place.ts';
import type { Seat, WorkingState } from './working-state.ts';
import { ZoneBudget } from './zone-budget.ts';

/** A copy that is wanted and has no machine yet. */
export interface Pending {
  job: JobRecord;
  /** Of the job's layout, which is where it counts, wherever it is placed. */
  zone: string;
  /** Where it may be placed instead when its zone has no machine for it, in this order. */
  fallback: readonly string[];
  cpu: number;
  mem: number;
  run: number | null;
  version: number;
  /** What the first copy of the job on a machine brings along: one copy of each job that is linked to it. */
  alongCpu: number;
  alongMem: number;
  reason: string;
}

/** MB that weigh as much as one core when sizes are compared and no price is known. */
const MB_PER_CORE = 2048;
/** Sums of tenths do not come out even: .1 + .2 > .3. */
const SLACK = 1e-6;

/**
 * Gives each pending copy a machine: the best fitting one that there is, or else one of the smallest set of new ones. Of what a zone
 * has no machine for just now, its job may allow the next one.
 */
export function placeCopies(work: WorkingState, pending: readonly Pending[]): void {
  let here = [...pending];
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

function zonesOf({ zone, fallback }: Pending): readonly string[] {
  return [zone, ...fallback];
}

/** Places what it can in one zone. Returns what is to be placed in the next one. */
function placeIn(work: WorkingState, zone: string, items: Pending[], turn: number): Pending[] {
  items.sort((a, b) => weigh(b.cpu, b.mem) - weigh(a.cpu, a.mem));
  const homeless = items.filter((item) => {
    const seat = bestSeat(work.seatsByZone.get(zone) ?? [], item);
    if (seat) place(work, item, seat);
    return !seat;
  });
  return orderFor(work, zone, homeless, turn);
}

/** Best fit: fewest copies of the same job where they are to spread, then the tightest place, then a ready machine, then the oldest. */
function bestSeat(seats: readonly Seat[], item: Pending): Seat | undefined {
  const spread = item.job.spec.place.spread === 'soft';
  let best: Seat | undefined;
  let bestSame = 0;
  let bestLeft = 0;
  for (const seat of seats) {
    if (!seat.open || !fits(seat, item)) continue;
    const here = seat.jobs.get(item.job.name) ?? 0;
    if (here > 0 && item.job.spec.place.spread === 'hard') continue;
    const same = spread ? here : 0;
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
  if (!suitsPlace({ name: seat.type, labels: seat.labels }, item.job.spec)) return false;
  const first = (seat.jobs.get(item.job.name) ?? 0) === 0;
  const cpu = item.cpu + (first ? item.alongCpu : 0);
  const mem = item.mem + (first ? item.alongMem : 0);
  return cpu <= seat.freeCpu + SLACK && mem <= seat.freeMem + SLACK;
}

function place(work: WorkingState, item: Pending, seat: Seat): void {
  const { job, zone, cpu, mem, run, version, reason } = item;
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
    reason,
  });
  if ((seat.jobs.get(job.name) ?? 0) === 0 && (item.alongCpu > 0 || item.alongMem > 0)) {
    seat.freeCpu -= item.alongCpu;
    seat.freeMem -= item.alongMem;
    seat.pledgedTo.add(job.name);
  }
  work.take(seat, job.name, cpu, mem);
}

/**
 * Orders machines until everything of `items` has a place, each time the size that is used best for its price. Returns what the zone
 * has no machine for just now, and may go to the next.
 */
function orderFor(work: WorkingState, zone: string, items: Pending[], turn: number): Pending[] {
  const types = work.snapshot
    .types(zone)
    .filter((type) => (work.snapshot.soldOut.get(sizeKey(zone, type)) ?? 0) <= work.snapshot.now);
  const budget = new ZoneBudget(work, zone);
  const lost = work.lost.filter((machine) => machine.zone === zone);
  const next: Pending[] = [];
  let rest = items;
  while (rest.length > 0) {
    const [first] = rest;
    if (!first) return next;
    const like = lost.shift();
    const likeType = like && likeOf(like, work.snapshot.types(zone));
    const choice = likeType && pack(likeType, rest).length > 0 ? likeType : cheapest(types, rest);
    if (choice && !budget.allows(choice, rest.length)) return next;
    if (!choice) {
      const soldOut = soldOutFor(work, zone, first);
      if (soldOut !== null) {
        const others = rest.filter((item) => item.job === first.job);
        if (zonesOf(first).length > turn + 1) for (const item of others) next.push(sentOn(item, zone, soldOut));
        else tellOfSoldOut(work, first, soldOut);
      }
      if (soldOut !== null || tellOfKind(work, zone, first)) {
        rest = rest.filter((item) => item.job !== first.job);
        continue;
      }
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
  return next;
}

/** The sizes that would do and are sold out, when that is why there is no machine; null: it is not. Wakes the plan when one may be had again. */
function soldOutFor(work: WorkingState, zone: string, item: Pending): string | null {
  const fitting = work.snapshot.types(zone).filter((type) => pack(type, [item]).length > 0);
  if (fitting.length === 0) return null;
  work.wake(Math.min(...fitting.map((type) => work.snapshot.soldOut.get(sizeKey(zone, type)) ?? 0)));
  return fitting.map((type) => type.name).join(', ');
}

function sentOn(item: Pending, zone: string, soldOut: string): Pending {
  return { ...item, reason: `${item.reason}; ${zone} has no ${soldOut} just now` };
}

function tellOfSoldOut(work: WorkingState, { job, zone, fallback }: Pending, soldOut: string): void {
  const none = fallback.length === 0 ? `${zone} has none` : `${[zone, ...fallback].join(', ')} have none`;
  work.complain({ job: job.name, zone }, `a copy of "${job.name}" waits for ${soldOut}, of which ${none} just now`);
}

/** Says where it is not the size but the kind of machine that is not to be had; false: it is the size. */
function tellOfKind(work: WorkingState, zone: string, item: Pending): boolean {
  const { job } = item;
  const all = work.snapshot.types(zone);
  if (all.some((type) => suitsPlace(type, job.spec))) return false;
  const wanted = [
    ...job.spec.place.instance_types,
    ...Object.entries(job.spec.place.machine).map((pair) => pair.join('=')),
  ];
  const sizes = all.map((type) => type.name).join(', ') || 'none';
  work.complain(
    { job: job.name, zone },
    `"${job.name}" wants machines that are ${wanted.join(', ')}; ${zone} has ${sizes}`,
  );
  return true;
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
    if (better || (equal && best !== undefined && isPreferred(type, best.type))) best = { type, worth };
  }
  return best?.type;
}

/** Of sizes that are worth the same the larger, which makes fewer machines; then the one that bears less, which others may need. */
function isPreferred(type: MachineType, best: MachineType): boolean {
  const larger = weigh(type.cpu, type.mem) - weigh(best.cpu, best.mem);
  if (Math.abs(larger) > SLACK) return larger > 0;
  return Object.keys(type.labels ?? {}).length < Object.keys(best.labels ?? {}).length;
}

/** The size of a machine that is lost, as it is on sale now, or as it was where it is no longer. */
function likeOf(lost: MachineRecord, types: readonly MachineType[]): MachineType {
  const { type: name, cpu, mem, labels, price } = lost;
  const same = types.find((type) => sizeKey('', type) === sizeKey('', { name, labels }));
  return same ?? { name, cpu, mem, labels, ...(price !== null && { price }) };
}

/** What of `items`, largest first, goes into one machine of this size. */
function pack(type: Pick<MachineType, 'name' | 'cpu' | 'mem' | 'labels'>, items: readonly Pending[]): Pending[] {
  let cpu = type.cpu + SLACK;
  let mem = type.mem + SLACK;
  const packed: Pending[] = [];
  const jobs = new Set<JobRecord>();
  for (const item of items) {
    const first = !jobs.has(item.job);
    if ((!first && item.job.spec.place.spread === 'hard') || !suitsPlace(type, item.job.spec)) continue;
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
