import type { Operation } from '../../contracts/state-store.ts';
import { planCluster } from '../../decide/plan/plan-cluster.ts';
import type { CopyRecord } from '../../model/copy.ts';
import type { JobRecord, JobVersion } from '../../model/job.ts';
import type { MachineRecord } from '../../model/machine.ts';
import type { Action, ClusterSnapshot, MachineContact, Plan } from '../../model/plan.ts';
import type { TaskStatus } from '../../model/task.ts';
import { applyPlan, type PlannedRecords } from '../records/apply-plan.ts';
import { keys } from '../records/cluster-records.ts';
import { planSentences } from './plan-sentences.ts';

/** Plans in a row that a preview follows, and how far ahead it looks. What takes longer is a matter of its own. */
const MAX_PLANS = 300;
const HORIZON_MS = 3_600_000;
/** What is asked again and again without anything coming of it is asked less and less often: twice this (ms) after the first time, and so on. */
const PATIENCE_MS = 100;
/** In a preview nobody falls silent: machines that are heard were heard just now, whenever that is. */
const ALWAYS = Number.MAX_SAFE_INTEGER;
/** A cluster that is larger than this is told its next step only: the whole way would keep the cluster sitter busy. */
const MAX_COPIES = 5000;

export interface Forecast {
  /** What would be done, in this order, were everything to go well. */
  sentences: string[];
  /** What the machines cost an hour, now and in the end; null: no price is known. */
  price: { before: number; after: number } | null;
}

export interface PreviewWish {
  /** Jobs as they would be, instead of or beside those that are there. */
  jobs: readonly JobRecord[];
  versions: readonly JobVersion[];
  lost: readonly string[];
  drained: readonly string[];
}

/**
 * What would happen if a wish came true and everything went well: machines come when they are ordered, copies are well when they are
 * started. The planner itself is asked, again and again, over records that nobody keeps. `snapshot` is left as it is.
 */
export function previewPlan(
  snapshot: ClusterSnapshot,
  versions: PlannedRecords['versions'],
  wish: PreviewWish,
): Forecast {
  const world = new ImaginedWorld(snapshot, versions, wish);
  const before = priceOf(snapshot.machines.values());
  const sentences: string[] = [];
  const known = new Set<string>();
  const plans = snapshot.copies.size > MAX_COPIES ? 1 : MAX_PLANS;
  for (let n = 0; n < plans; n++) {
    const plan = planCluster(world.snapshot());
    for (const sentence of told(plan)) {
      if (sentence.startsWith('cannot') && known.has(sentence)) continue;
      known.add(sentence);
      sentences.push(sentence);
    }
    if (plan.actions.length > 0) world.carryOut(plan);
    else if (!world.waitFor(plan.wakeAt)) break;
  }
  const after = priceOf(world.machines.values());
  return { sentences, price: before === null && after === null ? null : { before: before ?? 0, after: after ?? 0 } };
}

/** That what was ordered comes, and that what is rolled out is well, goes without saying. */
function told(plan: Plan): string[] {
  const silent = (action: Action): boolean =>
    action.kind === 'roll-done' || (action.kind === 'machine-state' && action.to === 'ready');
  return planSentences({ ...plan, actions: plan.actions.filter((action) => !silent(action)) });
}

function priceOf(machines: Iterable<MachineRecord>): number | null {
  let sum: number | null = null;
  for (const { price, state } of machines) if (price !== null && state !== 'lost') sum = (sum ?? 0) + price;
  return sum === null ? null : Math.round(sum * 10_000) / 10_000;
}

class ImaginedWorld implements PlannedRecords {
  readonly jobs: Map<string, JobRecord>;
  readonly machines: Map<string, MachineRecord>;
  readonly copies: Map<string, CopyRecord>;
  readonly versions: Map<string, JobVersion>;
  readonly #real: ClusterSnapshot;
  readonly #serials = new Map<string, number>();
  readonly #contacts = new Map<string, MachineContact & { tasks: Map<string, TaskStatus> }>();
  readonly #empty: Map<string, number>;
  #now: number;
  /** Waits in a row after which there was nothing to do. */
  #waits = 0;

  constructor(real: ClusterSnapshot, versions: PlannedRecords['versions'], wish: PreviewWish) {
    this.#real = real;
    this.#now = real.now;
    // Runs that a schedule begins some day are no consequence of the wish.
    const unscheduled = (job: JobRecord): JobRecord => ({ ...job, scheduledUntil: Number.MAX_SAFE_INTEGER });
    this.jobs = new Map([...real.jobs].map(([name, job]) => [name, unscheduled(job)]));
    for (const job of wish.jobs) this.jobs.set(job.name, unscheduled(job));
    this.versions = new Map(versions);
    for (const version of wish.versions) this.versions.set(keys.version(version.job, version.version), version);
    this.machines = new Map(real.machines);
    this.copies = new Map(real.copies);
    this.#empty = new Map(real.emptySince);
    for (const [id, contact] of real.contacts)
      this.#contacts.set(id, { ...contact, tasks: new Map(contact.tasks ?? []) });
    for (const id of wish.lost) this.#change(id, { state: 'lost', reason: 'it is supposed to be lost' });
    for (const id of wish.drained)
      this.#change(id, { state: 'draining', cordoned: true, reason: 'it is supposed to be drained' });
  }

  snapshot(): ClusterSnapshot {
    const { machineSerial } = this.#real;
    return {
      ...this.#real,
      now: this.#now,
      jobs: this.jobs,
      machines: this.machines,
      copies: this.copies,
      contacts: this.#contacts,
      emptySince: this.#empty,
      machineSerial: (zone) => this.#serials.get(zone) ?? machineSerial(zone),
    };
  }

  carryOut(plan: Plan): void {
    this.#waits = 0;
    for (const operation of applyPlan(plan, this, this.#now).write) this.#write(operation);
    this.#goWell();
  }

  /** Lets time pass until the planner wants to look again; false: it will not, for as long as a preview looks ahead. */
  waitFor(wakeAt: number | null): boolean {
    if (wakeAt === null || wakeAt > this.#real.now + HORIZON_MS) return false;
    this.#waits += 1;
    this.#now = Math.max(wakeAt, this.#now + PATIENCE_MS * 2 ** this.#waits);
    this.#goWell();
    return true;
  }

  #change(id: string, change: Partial<MachineRecord>): void {
    const machine = this.machines.get(id);
    if (machine) this.machines.set(id, { ...machine, ...change, stateSince: this.#now });
  }

  #write(operation: Operation): void {
    const key = 'put' in operation ? operation.put : operation.delete;
    const value = 'put' in operation ? operation.value : undefined;
    const slash = key.indexOf('/');
    const [kind, rest] = [key.slice(0, slash), key.slice(slash + 1)];
    if (kind === 'job') keep(this.jobs, rest, value as JobRecord | undefined);
    else if (kind === 'machine') keep(this.machines, rest, value as MachineRecord | undefined);
    else if (kind === 'copy') keep(this.copies, rest, value as CopyRecord | undefined);
    else if (kind === 'version') keep(this.versions, key, value as JobVersion | undefined);
    else if (kind === 'serial' && !rest.startsWith('job/')) this.#serials.set(rest, Number(value));
  }

  /** Everything that is under way comes about. */
  #goWell(): void {
    for (const machine of [...this.machines.values()]) this.#settleMachine(machine);
    for (const copy of [...this.copies.values()]) this.#settleCopy(copy);
    const used = new Set([...this.copies.values()].map((copy) => copy.machine));
    for (const id of this.machines.keys()) {
      if (used.has(id)) this.#empty.delete(id);
      else if (!this.#empty.has(id)) this.#empty.set(id, this.#now);
    }
  }

  #settleMachine(machine: MachineRecord): void {
    const { id, state } = machine;
    if (state === 'terminating' || state === 'lost') {
      this.machines.delete(id);
      this.#contacts.delete(id);
      return;
    }
    if (state === 'requested' || state === 'booting' || state === 'deploying')
      this.machines.set(id, { ...machine, state: 'ready', ref: id, lastError: null, stateSince: this.#now });
    const contact = this.#contacts.get(id);
    const heard = contact?.connected === true || !this.#real.machines.has(id) || state !== 'ready';
    // A machine that is silent now stays so: whether it comes back nobody knows.
    if (!heard) return;
    const tasks = contact?.tasks ?? new Map<string, TaskStatus>();
    this.#contacts.set(id, {
      heardAt: ALWAYS,
      connected: true,
      providerSays: 'running',
      trouble: contact?.trouble ?? null,
      tasks,
    });
  }

  #settleCopy(copy: CopyRecord): void {
    const contact = this.#contacts.get(copy.machine);
    if (copy.wanted === 'stop') {
      this.copies.delete(copy.id);
      contact?.tasks.delete(copy.id);
      return;
    }
    if (!contact?.connected) return;
    const task = contact.tasks.get(copy.id);
    const asWanted = task?.version === copy.version && task.generation === copy.generation;
    if (asWanted && copy.taskVersion === copy.version) return;
    this.copies.set(copy.id, {
      ...copy,
      recipeVersion: copy.version,
      taskVersion: copy.version,
      taskGeneration: copy.generation,
      lastError: null,
    });
    contact.tasks.set(copy.id, wellTask(copy, this.#now));
  }
}

function keep<T>(map: Map<string, T>, key: string, value: T | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

function wellTask(copy: CopyRecord, now: number): TaskStatus {
  const at = new Date(now).toISOString();
  return {
    id: copy.id,
    job: copy.job,
    name: copy.job,
    version: copy.version,
    generation: copy.generation,
    phase: 'running',
    reason: 'it would run',
    since: at,
    pid: null,
    run: 1,
    startedAt: at,
    restarts: 0,
    flapping: false,
    nextStartAt: null,
    revision: 1,
    limits: {
      cpu: copy.cpu,
      memBytes: null,
      pids: null,
      enforcer: '',
      holds: { cpu: 'none', mem: 'none', pids: 'none', io: 'none' },
    },
    usage: null,
    warnings: [],
    health: null,
    logs: null,
    lastEnd: null,
  };
}
