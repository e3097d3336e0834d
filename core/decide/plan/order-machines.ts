import type { JobRecord } from '../../model/job.ts';
import type { MachineRecord } from '../../model/machine.ts';
import { type MachineType, sizeKey } from '../../model/plan.ts';
import { type Pending, place, zonesOf } from './pending.ts';
import { SLACK, suits, weigh } from './sizes.ts';
import type { WorkingState } from './working-state.ts';
import { ZoneBudget } from './zone-budget.ts';

/** How many copies of which kind go onto one machine. */
type Load = { item: Pending; count: number }[];

type Size = Pick<MachineType, 'name' | 'cpu' | 'mem' | 'labels'>;

/**
 * Orders machines until everything of `items` (the largest first) has a place, each time the size that is used best for its price.
 * Where a machine is lost, one of its size comes first. Returns what the zone has no machine for just now, and may go to another
 * zone: `turn` is how many zones come before this one.
 */
export function orderMachines(work: WorkingState, zone: string, items: Pending[], turn: number): Pending[] {
  const { snapshot } = work;
  const types = snapshot.types(zone).filter((type) => (snapshot.soldOut.get(sizeKey(zone, type)) ?? 0) <= snapshot.now);
  const budget = new ZoneBudget(work, zone);
  const replaced = new Set(work.actions.map((action) => (action.kind === 'order-machine' ? action.replaces : null)));
  const lost = work.lost.filter((machine) => machine.zone === zone && !replaced.has(machine.id));
  const next: Pending[] = [];
  let rest = items;
  for (let [first] = rest; first !== undefined; [first] = rest) {
    const like = lost.shift();
    const likeType = like && likeOf(like, snapshot.types(zone));
    const choice = likeType && pack(likeType, rest).length > 0 ? likeType : cheapest(types, rest);
    if (choice === undefined) {
      const { job } = first;
      const soldOut = soldOutFor(work, zone, first);
      if (soldOut !== null && zonesOf(first).length > turn + 1)
        next.push(...rest.filter((item) => item.job === job).map((item) => sentOn(item, zone, soldOut)));
      else if (soldOut !== null) tellOfSoldOut(work, first, soldOut);
      else if (!tellOfKind(work, zone, first)) tellOfSize(work, zone, first, types);
      rest = rest.filter((item) => item.job !== job);
      continue;
    }
    const waiting = rest.reduce((sum, item) => sum + item.count, 0);
    if (!budget.allows(choice, waiting)) return next;
    const replaces = like && choice === likeType ? like.id : null;
    const load = pack(choice, rest);
    const reason = replaces ? `replaces ${replaces}, which is lost` : `${sayLoad(load)} had no room in ${zone}`;
    const seat = work.orderMachine(zone, choice, replaces, reason);
    for (const { item, count } of load) {
      for (let n = 0; n < count; n++) place(work, item, seat);
      item.count -= count;
    }
    if (load.some(({ item }) => item.count === 0)) rest = rest.filter(({ count }) => count > 0);
  }
  return next;
}

function sayLoad(load: Load): string {
  const copies = load.reduce((sum, { count }) => sum + count, 0);
  const jobs = [...new Set(load.map(({ item }) => `"${item.job.name}"`))].join(', ');
  return `${copies} ${copies === 1 ? 'copy' : 'copies'} of ${jobs}`;
}

function tellOfSize(work: WorkingState, zone: string, item: Pending, types: readonly MachineType[]): void {
  const { job, cpu, mem, alongCpu, alongMem } = item;
  const sizes = types.map((type) => `${type.name} (${type.cpu} cores, ${type.mem} MB)`).join(', ') || 'none';
  work.complain(
    { job: job.name, zone },
    `a copy of "${job.name}" needs ${cpu + alongCpu} cores and ${mem + alongMem} MB; no machine type of ${zone} is that large: ${sizes}; it waits until the job asks for less, or the zone sells a larger one`,
  );
}

/** The sizes that would do and are sold out, when that is why there is no machine; null: it is not. Wakes the plan when one may be had again. */
function soldOutFor(work: WorkingState, zone: string, item: Pending): string | null {
  const { types, soldOut } = work.snapshot;
  const fitting = types(zone).filter((type) => pack(type, [item]).length > 0);
  if (fitting.length === 0) return null;
  work.wake(Math.min(...fitting.map((type) => soldOut.get(sizeKey(zone, type)) ?? 0)));
  return fitting.map((type) => type.name).join(', ');
}

function sentOn(item: Pending, zone: string, soldOut: string): Pending {
  return { ...item, reason: `${item.reason}; ${zone} has no ${soldOut} just now` };
}

function tellOfSoldOut(work: WorkingState, item: Pending, soldOut: string): void {
  const { job, zone, fallback } = item;
  const none = fallback.length === 0 ? `${zone} has none` : `${zonesOf(item).join(', ')} have none`;
  work.complain(
    { job: job.name, zone },
    `a copy of "${job.name}" waits for ${soldOut}, of which ${none} just now; it is asked for again every few minutes`,
  );
}

/** Says where it is not the size but the kind of machine that is not to be had; false: it is the size. */
function tellOfKind(work: WorkingState, zone: string, item: Pending): boolean {
  const { job } = item;
  const all = work.snapshot.types(zone);
  if (all.length === 0) {
    const why = work.snapshot.complaint?.(zone) ?? 'no provider sells any there';
    const sentence = `a copy of "${job.name}" waits for a machine in ${zone}, where none is to be had: ${why}; one is ordered as soon as that changes`;
    work.complain({ job: job.name, zone }, sentence);
    return true;
  }
  if (all.some((type) => suits(type.name, type.labels ?? {}, job))) return false;
  const { instance_types, machine } = job.spec.place;
  const wanted = [...instance_types, ...Object.entries(machine).map((pair) => pair.join('='))];
  const sizes = all.map((type) => type.name).join(', ') || 'none';
  work.complain(
    { job: job.name, zone },
    `"${job.name}" wants machines that are ${wanted.join(', ')}; ${zone} has ${sizes}; its copies wait until such a machine can be had`,
  );
  return true;
}

/** The size with the most reservation packed per price; of equals the larger, which makes fewer machines. */
function cheapest(types: readonly MachineType[], items: readonly Pending[]): MachineType | undefined {
  let best: { type: MachineType; worth: number } | undefined;
  for (const type of types) {
    const packed = pack(type, items).reduce((sum, { item, count }) => sum + count * weigh(item.cpu, item.mem), 0);
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
function pack(type: Size, items: readonly Pending[]): Load {
  let cpu = type.cpu + SLACK;
  let mem = type.mem + SLACK;
  const load: Load = [];
  const jobs = new Set<JobRecord>();
  for (const item of items) {
    if (item.cpu > cpu || item.mem > mem || !suits(type.name, type.labels ?? {}, item.job)) continue;
    const most = item.job.spec.place.spread === 'hard' ? (jobs.has(item.job) ? 0 : 1) : item.count;
    let count = 0;
    while (count < most) {
      const first = !jobs.has(item.job);
      const needCpu = item.cpu + (first ? item.alongCpu : 0);
      const needMem = item.mem + (first ? item.alongMem : 0);
      if (needCpu > cpu || needMem > mem) break;
      cpu -= needCpu;
      mem -= needMem;
      jobs.add(item.job);
      count += 1;
    }
    if (count > 0) load.push({ item, count });
    if (cpu <= SLACK || mem <= SLACK) break;
  }
  return load;
}
