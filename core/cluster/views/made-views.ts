import type { Clock } from '../../contracts/clock.ts';
import type { CopyView, JobView, MachineView, ZoneCounts } from '../../contracts/cluster-api.ts';
import { copyNext, type ShownCopy } from '../../decide/copy-next.ts';
import { copyCondition } from '../../decide/copy-state.ts';
import { type Health, healthOf } from '../../decide/plan/judge-machines.ts';
import { LeadersReady } from '../../decide/plan/leaders-ready.ts';
import { machineUse } from '../../decide/vitals/machine-use.ts';
import { progressSentence, retrySentence } from '../../decide/words/progress-sentence.ts';
import { jobRunViewOf, rollOutViewOf } from '../../model/cluster-view.ts';
import type { CopyRecord } from '../../model/copy.ts';
import { copiesIn, type JobRecord } from '../../model/job.ts';
import type { MachineRecord } from '../../model/machine.ts';
import type { ClusterSnapshot, Complaint, MachineContact } from '../../model/plan.ts';
import { nextTime } from '../../model/schedule.ts';
import type { HostVitals } from '../../model/vitals.ts';
import type { ProgressBoard } from '../copies/progress-board.ts';
import type { ClusterRecords } from '../records/cluster-records.ts';

export interface MadeFrom {
  records: ClusterRecords;
  contacts: ReadonlyMap<string, MachineContact & { host: HostVitals | null }>;
  clock: Clock;
  snapshot(): ClusterSnapshot;
  progress: Pick<ProgressBoard, 'machine' | 'copy'>;
  /** Of the last plan. */
  complaints(): readonly Complaint[];
}

/** All copies, machines and jobs as they are shown, of one moment; made in one go, since each needs the others. */
export interface MadeViews {
  /** By job and number. */
  copies: readonly CopyView[];
  copiesOfJob: ReadonlyMap<string, readonly CopyView[]>;
  copiesOfMachine: ReadonlyMap<string, readonly CopyView[]>;
  /** By zone and age. */
  machines: readonly MachineView[];
  jobs: readonly JobView[];
}

/** What a copy's own record does not say. */
interface Beside {
  /** The machines that are unreachable now, and since when. */
  silence: ReadonlyMap<string, number>;
  /** The copies that names still lead to. */
  held: ClusterSnapshot['dnsHolds'];
  leaders: LeadersReady;
  next(copy: CopyRecord, shown: ShownCopy): string | null;
}

const NONE: readonly CopyView[] = [];

export function makeViews(from: MadeFrom): MadeViews {
  const { records } = from;
  const snapshot = from.snapshot();
  const beside = besideOf(from, snapshot);
  const copies = inOrder(records.copies.values()).map((copy) => copyView(from, copy, beside));
  const copiesOfJob = grouped(copies, ({ job }) => job);
  const copiesOfMachine = grouped(copies, ({ machine }) => machine);
  const machines = [...records.machines.values()]
    .sort((a, b) => (a.zone < b.zone ? -1 : a.zone > b.zone ? 1 : a.createdAt - b.createdAt))
    .map((machine) => {
      const health = healthOf(machine, snapshot);
      return machineView(from, machine, copiesOfMachine.get(machine.id) ?? NONE, health);
    });
  const jobs = [...records.jobs.values()].map((job) => jobView(from, job, copiesOfJob.get(job.name) ?? NONE));
  return { copies, copiesOfJob, copiesOfMachine, machines, jobs };
}

function jobView(from: MadeFrom, job: JobRecord, copies: readonly CopyView[]): JobView {
  const zones: Record<string, ZoneCounts> = {};
  const counts = (zone: string): ZoneCounts => {
    zones[zone] ??= { wanted: 0, ready: 0, starting: 0, failing: 0 };
    return zones[zone];
  };
  if (job.state === 'active')
    for (const [zone, entry] of Object.entries(job.spec.deployment_layout)) counts(zone).wanted = copiesIn(entry);
  for (const copy of copies) {
    if (copy.state === 'stopping') continue;
    const zone = counts(copy.zone);
    // A follower's layout is its leader's: it wants what it was given.
    if (job.spec.linked_job !== undefined && job.spec.deployment_layout[copy.zone] === undefined) zone.wanted += 1;
    if (copy.state === 'ready' || copy.state === 'completed') zone.ready += 1;
    else if (copy.state === 'failing' || copy.state === 'unknown') zone.failing += 1;
    else zone.starting += 1;
  }
  const lastRun = job.runs.at(-1);
  return {
    name: job.name,
    version: job.version,
    state: job.state,
    zones,
    stopped: job.stopped,
    rollout: rollOutViewOf(job),
    goodVersion: job.goodVersion,
    nextRun: nextRun(from, job),
    lastRun: lastRun ? jobRunViewOf(lastRun) : null,
    updatedAt: job.updatedAt,
    linkedJob: job.spec.linked_job ?? null,
  };
}

function nextRun({ clock }: MadeFrom, job: JobRecord): string | null {
  if (job.spec.schedule === undefined || job.stopped || job.state !== 'active') return null;
  const next = nextTime(job.spec.schedule, clock.now());
  return next === null ? null : new Date(next).toISOString();
}

function copyView(
  { records, contacts, progress: board }: MadeFrom,
  copy: CopyRecord,
  { silence, held, leaders, next: nextOf }: Beside,
): CopyView {
  const progress = board.copy(copy.id) ?? board.machine(copy.machine);
  const leader = leaders.awaited(copy) ? (records.jobs.get(copy.job)?.spec.linked_job ?? null) : null;
  const { state, reason, task } = copyCondition(
    copy,
    records.machines.get(copy.machine),
    contacts.get(copy.machine),
    silence.get(copy.machine) ?? null,
    progress,
    { named: held?.has(copy.id) ?? false, leader },
  );
  const next = nextOf(copy, { state, task, leader });
  return {
    copy: copy.id,
    job: copy.job,
    zone: copy.zone,
    machine: copy.machine,
    state,
    reason,
    ...(next !== null && { next }),
    version: copy.version,
    cpu: copy.cpu,
    mem: copy.mem,
    createdAt: new Date(copy.createdAt).toISOString(),
    task,
    ...(state !== 'ready' && progress?.percent != null && { percent: progress.percent }),
  };
}

function machineView(
  { contacts, progress: board }: MadeFrom,
  machine: MachineRecord,
  copies: readonly CopyView[],
  health: Health,
): MachineView {
  const contact = contacts.get(machine.id);
  const serving = machine.state === 'ready' || machine.state === 'draining';
  const silent = serving && health !== 'ok';
  const progress = board.machine(machine.id);
  const usage = contact?.tasks ? [...contact.tasks.values()].flatMap((task) => task.usage ?? []) : null;
  const used = machineUse(machine, contact?.host ?? null, usage);
  const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
  return {
    id: machine.id,
    zone: machine.zone,
    state: silent ? health : machine.state,
    reason: silent
      ? `not heard since ${new Date(contact?.heardAt || machine.stateSince).toISOString()}`
      : machine.lastError === null
        ? ((progress && progressSentence(progress)) ?? machine.reason)
        : retrySentence(machine.lastError, machine),
    address: machine.address,
    type: machine.type,
    cordoned: machine.cordoned,
    cpu: {
      offered: machine.cpu,
      reserved: round(sum(copies.map((copy) => copy.cpu))),
      used: used.cpu,
    },
    mem: {
      offered: machine.mem,
      reserved: sum(copies.map((copy) => copy.mem)),
      used: used.mem,
    },
    since: new Date(machine.stateSince).toISOString(),
    createdAt: new Date(machine.createdAt).toISOString(),
    copies: copies.map(({ job, copy, state, version }) => ({ job, copy, state, version })),
    ...(progress?.percent != null && { percent: progress.percent }),
  };
}

function besideOf({ records, contacts, complaints }: MadeFrom, snapshot: ClusterSnapshot): Beside {
  const silent = new Map<string, number>();
  for (const machine of records.machines.values()) {
    if (machine.state !== 'ready' && machine.state !== 'draining') continue;
    if (healthOf(machine, snapshot) === 'unreachable')
      silent.set(machine.id, contacts.get(machine.id)?.heardAt || machine.stateSince);
  }
  const told = complaints();
  return {
    silence: silent,
    held: snapshot.dnsHolds,
    leaders: new LeadersReady(snapshot),
    next: (copy, shown) => copyNext(copy, shown, snapshot, told),
  };
}

function grouped(copies: readonly CopyView[], keyOf: (copy: CopyView) => string): Map<string, CopyView[]> {
  const groups = new Map<string, CopyView[]>();
  for (const copy of copies) {
    const group = groups.get(keyOf(copy));
    if (group) group.push(copy);
    else groups.set(keyOf(copy), [copy]);
  }
  return groups;
}

/** By job and number. The number is read out of each id once, not with each comparison. */
function inOrder(records: Iterable<CopyRecord>): CopyRecord[] {
  return Array.from(records, (copy) => ({ copy, serial: Number(copy.id.slice(copy.id.lastIndexOf('.') + 1)) }))
    .sort((a, b) => (a.copy.job < b.copy.job ? -1 : a.copy.job > b.copy.job ? 1 : a.serial - b.serial))
    .map(({ copy }) => copy);
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
