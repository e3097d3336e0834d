import type { CopyRecord } from '../model/copy.ts';
import type { JobRecord } from '../model/job.ts';
import { HOSTING_STATES, type MachineRecord } from '../model/machine.ts';
import type { Action, ClusterSnapshot, Complaint, MachineType, Plan } from '../model/plan.ts';

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
  /** Copies of each job that stay here. */
  jobs: Map<string, number>;
  /** Jobs whose followers' room here was taken together with their own. */
  pledgedTo: Set<string>;
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
  /** The same copies, by machine. */
  readonly copiesByMachine = new Map<string, CopyRecord[]>();
  /** Copies of jobs that may not run twice, on machines of which nobody knows yet that they have stopped them: by job and zone. */
  readonly heldBack = new Map<string, number>();
  /** Copies that are being stopped, by job: a job is not gone before they are. */
  readonly stoppingByJob = new Map<string, number>();
  /** Machines that this plan gives up, and whose like may be ordered instead. */
  readonly lost: MachineRecord[] = [];
  /** Orders that this plan withdraws. */
  readonly withdrawn = new Set<string>();
  /** Who is there, or on its way, to replace a machine. */
  readonly successors = new Map<string, MachineRecord>();
  /** Copies that this plan stops. */
  readonly stopped = new Set<string>();
  wakeAt: number | null = null;
  readonly #serials = new Map<string, number>();
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
      jobs: new Map(),
      pledgedTo: new Set(),
    };
    this.seats.set(seat.id, seat);
    const zone = this.seatsByZone.get(seat.zone);
    if (zone) zone.push(seat);
    else this.seatsByZone.set(seat.zone, [seat]);
    return seat;
  }

  take(seat: Seat, job: string, cpu: number, mem: number): void {
    seat.freeCpu -= cpu;
    seat.freeMem -= mem;
    seat.copies += 1;
    seat.jobs.set(job, (seat.jobs.get(job) ?? 0) + 1);
  }

  /** A copy that stays on the books of its machine until the machine has let go of it, but counts for its job no more. */
  leaveJob(seat: Seat, job: string): void {
    seat.jobs.set(job, (seat.jobs.get(job) ?? 1) - 1);
  }

  nextCopyId(job: JobRecord): string {
    const serial = this.#serials.get(job.name) ?? job.nextSerial;
    this.#serials.set(job.name, serial + 1);
    return `${job.slug}.${serial}`;
  }

  orderMachine(zone: string, type: MachineType, replaces: string | null, reason: string): Seat {
    let serial = this.#machineSerials.get(zone) ?? this.snapshot.machineSerial(zone);
    // An instance of that name is there already: one that this store has never ordered.
    while (this.snapshot.orphans.has(`${zone}-${serial}`)) serial += 1;
    this.#machineSerials.set(zone, serial + 1);
    const id = `${zone}-${serial}`;
    this.actions.push({ kind: 'order-machine', machine: id, zone, type, replaces, reason });
    const { name, cpu, mem, labels = {} } = type;
    return this.addSeat({ id, zone, type: name, cpu, mem, state: 'requested', cordoned: false, labels });
  }

  /** A copy that stays: it counts for its job, and for what is linked to it. */
  remember(copy: CopyRecord): void {
    append(this.copiesByJob, copy.job, copy);
    append(this.copiesByMachine, copy.machine, copy);
  }

  /** The copies of a job on a machine that stay there. */
  copiesOn(machine: string, job: string): CopyRecord[] {
    const copies = this.copiesByMachine.get(machine) ?? [];
    return copies.filter((copy) => copy.job === job && !this.stopped.has(copy.id));
  }

  stopCopy(copy: CopyRecord, reason: string): void {
    this.actions.push({ kind: 'stop-copy', copy: copy.id, reason });
    this.stoppingByJob.set(copy.job, (this.stoppingByJob.get(copy.job) ?? 0) + 1);
    this.stopped.add(copy.id);
    const seat = this.seats.get(copy.machine);
    if (seat) this.leaveJob(seat, copy.job);
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
