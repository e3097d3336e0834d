import type { CopyRecord } from '../../model/copy.ts';
import type { JobRecord } from '../../model/job.ts';
import { HOSTING_STATES, type MachineRecord } from '../../model/machine.ts';
import type { Action, ClusterSnapshot, Complaint, MachineType, Plan } from '../../model/plan.ts';

/** A machine as a plan sees it while it is being made: the record's particulars, and what is still free on it. */
export interface Seat {
  id: string;
  zone: string;
  /** May be given more copies. */
  open: boolean;
  ready: boolean;
  type: string;
  labels: Readonly<Record<string, string>>;
  freeCpu: number;
  freeMem: number;
  copies: number;
  /** Jobs whose followers' room here was taken together with their own. */
  pledgedTo: Set<string>;
}

/** A copy in whose stead another is begun, and what became of it. */
export interface Predecessor {
  copy: string;
  why: string;
}

/** Where copies of one kind count: those of a job's layout in a zone, or of one of its runs. */
export function placeOf({ job, zone, run }: Pick<CopyRecord, 'job' | 'zone' | 'run'>): string {
  return `${job}/${zone}/${run ?? ''}`;
}

/**
 * The snapshot with the plan's own changes folded in, and the plan so far. Each rule of the planner reads it and adds to it;
 * it never leaves `planCluster`.
 */
export class WorkingState {
  readonly snapshot: ClusterSnapshot;
  readonly actions: Action[] = [];
  readonly complaints: Complaint[] = [];
  readonly seats = new Map<string, Seat>();
  readonly seatsByZone = new Map<string, Seat[]>();
  /** The copies of each job that are wanted and on a machine that is not lost. */
  readonly copiesByJob = new Map<string, CopyRecord[]>();
  /** Copies of jobs that may not run twice, on machines of which nobody knows yet that they have stopped them: by job and zone. */
  readonly heldBack = new Map<string, number>();
  /** Copies that this plan forgets with their machines: what is begun in their stead says so. By job, zone and run. */
  readonly gone = new Map<string, Predecessor[]>();
  /** Copies that are being stopped, by job: a job is not gone before they are. */
  readonly stoppingByJob = new Map<string, number>();
  /** Machines that this plan gives up, and whose like may be ordered instead. */
  readonly lost: MachineRecord[] = [];
  /** Orders that this plan withdraws. */
  readonly withdrawn = new Set<string>();
  /** Who is there, or on its way, to replace a machine. */
  readonly successors = new Map<string, MachineRecord>();
  /** Machines that are being emptied. */
  readonly draining = new Set<string>();
  /** Copies that this plan stops. */
  readonly stopped = new Set<string>();
  wakeAt: number | null = null;
  /** By job, and only for those that were asked for: how many copies stay or come on each machine, and which are there. */
  readonly #places = new Map<string, Map<string, number>>();
  readonly #copiesOn = new Map<string, Map<string, CopyRecord[]>>();
  readonly #serials = new Map<string, number>();
  readonly #said = new Set<string>();
  readonly #machineSerials = new Map<string, number>();

  constructor(snapshot: ClusterSnapshot) {
    this.snapshot = snapshot;
    for (const machine of snapshot.machines.values())
      if (machine.replaces !== null && machine.state !== 'lost') this.successors.set(machine.replaces, machine);
  }

  /** Something may come out differently at `time`, without any news. */
  wake(time: number): void {
    if (time > this.snapshot.now && (this.wakeAt === null || time < this.wakeAt)) this.wakeAt = time;
  }

  /** `alert`: the story's key, where somebody should be told. */
  complain(about: Complaint['about'], sentence: string, alert?: string): void {
    if (this.#said.has(sentence)) return;
    this.#said.add(sentence);
    this.complaints.push({ about, sentence, ...(alert !== undefined && { alert }) });
  }

  addSeat(record: Pick<MachineRecord, 'id' | 'zone' | 'type' | 'cpu' | 'mem' | 'state' | 'cordoned' | 'labels'>): Seat {
    const seat: Seat = {
      id: record.id,
      zone: record.zone,
      open: HOSTING_STATES.has(record.state) && !record.cordoned,
      ready: record.state === 'ready',
      type: record.type,
      labels: record.labels,
      freeCpu: record.cpu,
      freeMem: record.mem,
      copies: 0,
      pledgedTo: new Set(),
    };
    if (record.state === 'draining') this.draining.add(seat.id);
    this.seats.set(seat.id, seat);
    const zone = this.seatsByZone.get(seat.zone);
    if (zone) zone.push(seat);
    else this.seatsByZone.set(seat.zone, [seat]);
    return seat;
  }

  /** How many copies of a job stay on each machine, or come there by this plan. */
  placesOf(job: string): Map<string, number> {
    const known = this.#places.get(job);
    if (known) return known;
    const places = new Map<string, number>();
    for (const { id, machine } of this.copiesByJob.get(job) ?? [])
      if (this.seats.has(machine) && !this.stopped.has(id)) places.set(machine, (places.get(machine) ?? 0) + 1);
    this.#places.set(job, places);
    return places;
  }

  /** Gives a copy of a job a place. Where its room was taken before (`pledgedTo`), that is none more. */
  place(seat: Seat, job: string, room: { cpu: number; mem: number } | null): void {
    if (room) {
      seat.freeCpu -= room.cpu;
      seat.freeMem -= room.mem;
    }
    seat.copies += 1;
    const places = this.placesOf(job);
    places.set(seat.id, (places.get(seat.id) ?? 0) + 1);
  }

  nextCopyId(job: JobRecord): string {
    const serial = this.#serials.get(job.name) ?? job.nextSerial;
    this.#serials.set(job.name, serial + 1);
    return `${job.slug}.${serial}`;
  }

  orderMachine(zone: string, type: MachineType, replaces: string | null, reason: string): Seat {
    let serial = this.#machineSerials.get(zone) ?? this.snapshot.machineSerial(zone);
    const { orphans, strangers } = this.snapshot;
    // An instance of that name is there already: one that this store has never ordered. Its provider may not answer just now.
    while (orphans.has(`${zone}-${serial}`) || strangers?.has(`${zone}-${serial}`)) serial += 1;
    this.#machineSerials.set(zone, serial + 1);
    const id = `${zone}-${serial}`;
    this.actions.push({ kind: 'order-machine', machine: id, zone, type, replaces, reason });
    const { name, cpu, mem, labels = {} } = type;
    return this.addSeat({ id, zone, type: name, cpu, mem, state: 'requested', cordoned: false, labels });
  }

  /** A copy that stays: it counts for its job, and for what is linked to it. */
  remember(copy: CopyRecord): void {
    append(this.copiesByJob, copy.job, copy);
  }

  /** Its machine is gone, and it with that. */
  forget(copy: CopyRecord): void {
    const why = `its machine ${copy.machine} is gone`;
    this.actions.push({ kind: 'forget-copy', copy: copy.id, reason: why });
    // Who was to stop has no successor.
    if (copy.wanted === 'run') append(this.gone, placeOf(copy), { copy: copy.id, why });
  }

  /** The copies of a job on a machine that stay there. */
  copiesOn(machine: string, job: string): CopyRecord[] {
    let byMachine = this.#copiesOn.get(job);
    if (!byMachine) {
      byMachine = new Map();
      for (const copy of this.copiesByJob.get(job) ?? []) append(byMachine, copy.machine, copy);
      this.#copiesOn.set(job, byMachine);
    }
    return (byMachine.get(machine) ?? []).filter(({ id }) => !this.stopped.has(id));
  }

  stopCopy(copy: CopyRecord, reason: string): void {
    this.actions.push({ kind: 'stop-copy', copy: copy.id, reason });
    this.stoppingByJob.set(copy.job, (this.stoppingByJob.get(copy.job) ?? 0) + 1);
    this.stopped.add(copy.id);
    const places = this.#places.get(copy.job);
    const there = places?.get(copy.machine);
    if (there !== undefined) places?.set(copy.machine, there - 1);
  }

  plan(): Plan {
    return { actions: this.actions, complaints: this.complaints, wakeAt: this.wakeAt };
  }
}

function append<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list) list.push(item);
  else lists.set(key, [item]);
}
