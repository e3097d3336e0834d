/**
 * How long a plan takes: planCluster over 1,000 machines and 10,000 copies (jobs of 100 copies, in 5 zones); with `--machines N` over
 * as many machines and ten times as many copies. The plan is made anew from the whole snapshot each time, so the floor is one pass
 * over all copies and machines.
 */
import { parseArgs } from 'node:util';
import { planCluster } from '../core/decide/plan/plan-cluster.ts';
import type { CopyRecord } from '../core/model/copy.ts';
import { type JobRecord, jobSpec } from '../core/model/job.ts';
import type { MachineRecord } from '../core/model/machine.ts';
import type { ClusterSnapshot, MachineContact, Plan } from '../core/model/plan.ts';
import { settings } from '../core/model/settings.ts';
import type { TaskStatus } from '../core/model/task.ts';
import { NO_CEILINGS, PLAIN_COPY, PLAIN_JOB, PLAIN_MACHINE } from '../test/fakes/plain-records.ts';
import { report, type Series } from './bench-report.ts';

const ZONES = ['local-a', 'local-b', 'local-c', 'local-d', 'local-e'];
const { values: asked } = parseArgs({
  options: { machines: { type: 'string', default: '1000' }, json: { type: 'string' } },
});
const MACHINES_PER_ZONE = Math.ceil(Number(asked.machines) / ZONES.length);
const JOBS = Math.ceil(Number(asked.machines) / 10);
const COPIES_PER_ZONE = 20;
/** Of three sizes, so that best fit has something to choose; 10,000 copies take 80% of what the machines offer. */
const SIZES = [
  { cpu: 0.4, mem: 512 },
  { cpu: 0.8, mem: 1024 },
  { cpu: 1.2, mem: 2048 },
];
const MACHINE = { type: 'm.10', cpu: 10, mem: 32_768 };

const NOW = Date.parse('2026-01-02T00:00:00Z');
const BEFORE = NOW - 3_600_000;
const WARM_UPS = Number(asked.machines) > 2000 ? 3 : 20;
const RUNS = Number(asked.machines) > 2000 ? 15 : 60;

type Records = Pick<ClusterSnapshot, 'jobs' | 'machines' | 'copies' | 'contacts'>;

function jobs(): Map<string, JobRecord> {
  const all = new Map<string, JobRecord>();
  for (let n = 0; n < JOBS; n++) {
    const name = `job-${n}`;
    const spec = jobSpec.parse({
      task_configuration: { name, command: 'sleep 1000', ...SIZES[n % SIZES.length], ensure_alive: true },
      deployment_layout: Object.fromEntries(ZONES.map((zone) => [zone, { count: COPIES_PER_ZONE }])),
    });
    const at = new Date(BEFORE).toISOString();
    all.set(name, {
      name,
      slug: name,
      version: 1,
      ...PLAIN_JOB,
      spec,
      nextSerial: 1,
      state: 'active',
      createdAt: at,
      updatedAt: at,
    });
  }
  return all;
}

function machines(): Map<string, MachineRecord> {
  const all = new Map<string, MachineRecord>();
  for (const zone of ZONES) {
    for (let n = 1; n <= MACHINES_PER_ZONE; n++) {
      const id = `${zone}-${n}`;
      all.set(id, {
        id,
        zone,
        state: 'ready',
        ...MACHINE,
        intent: id,
        token: '',
        ref: id,
        address: '127.0.0.1',
        endpoint: 'http://127.0.0.1:1',
        replaces: null,
        cordoned: false,
        ...PLAIN_MACHINE,
        reason: 'its machine sitter answers',
        createdAt: BEFORE + n,
        stateSince: BEFORE + n,
        attempts: 0,
        nextAttemptAt: 0,
        lastError: null,
      });
    }
  }
  return all;
}

function contact(heardAt: number, tasks: ReadonlyMap<string, TaskStatus>): MachineContact {
  return { heardAt, connected: true, providerSays: 'running', trouble: null, tasks };
}

function task(copy: CopyRecord): TaskStatus {
  const since = new Date(BEFORE).toISOString();
  return {
    id: copy.id,
    job: copy.job,
    name: copy.job,
    version: copy.version,
    generation: 0,
    phase: 'running',
    reason: 'running',
    since,
    pid: 1,
    run: 1,
    startedAt: since,
    restarts: 0,
    flapping: false,
    nextStartAt: null,
    revision: 1,
    limits: {
      cpu: copy.cpu,
      memBytes: copy.mem * 1024 * 1024,
      pids: null,
      enforcer: 'proc',
      holds: { cpu: 'measured', mem: 'polled', pids: 'polled', io: 'none' },
    },
    usage: null,
    warnings: [],
    health: null,
    logs: null,
    lastEnd: null,
  };
}

function snapshot(records: Records): ClusterSnapshot {
  const defaults = settings.parse({});
  return {
    ...records,
    now: NOW,
    startedAt: BEFORE,
    emptySince: new Map(),
    orphans: new Map(),
    soldOut: new Map(),
    types: () => [{ name: MACHINE.type, cpu: MACHINE.cpu, mem: MACHINE.mem }],
    machineSerial: () => MACHINES_PER_ZONE + 1,
    limits: {
      // Nothing is shed: what is measured is placing, and a shed machine would be another change.
      maxIdle: () => -1,
      idleGraceMs: defaults.idle_grace * 1000,
      suspectAfterMs: defaults.suspect_after * 1000,
      unreachableAfterMs: defaults.unreachable_after * 1000,
      lostAfterMs: defaults.lost_after * 1000,
      replaceBrake: defaults.replace_brake,
      startupGraceMs: defaults.startup_grace * 1000,
      bootDeadlineMs: defaults.boot_deadline * 1000,
      ...NO_CEILINGS,
    },
  };
}

function coldRecords(): Records {
  const all = machines();
  const contacts = new Map([...all.keys()].map((id) => [id, contact(NOW - 100, new Map())]));
  return { jobs: jobs(), machines: all, copies: new Map(), contacts };
}

/** The records after a plan was carried out and everything that it placed runs. */
function carriedOut(before: Records, plan: Plan): Records {
  const copies = new Map<string, CopyRecord>();
  const tasks = new Map([...before.machines.keys()].map((id) => [id, new Map<string, TaskStatus>()]));
  for (const action of plan.actions) {
    if (action.kind !== 'place-copy') throw new Error(`the cold plan does more than place copies: ${action.kind}`);
    const { copy: id, job, zone, machine, cpu, mem, version, reason } = action;
    const copy: CopyRecord = {
      id,
      job,
      zone,
      machine,
      cpu,
      mem,
      wanted: 'run',
      version,
      recipeVersion: version,
      taskVersion: version,
      ...PLAIN_COPY,
      reason,
      createdAt: BEFORE,
      changedAt: BEFORE,
      attempts: 0,
      nextAttemptAt: 0,
      lastError: null,
    };
    copies.set(id, copy);
    tasks.get(machine)?.set(id, task(copy));
  }
  const contacts = new Map([...tasks].map(([id, ofMachine]) => [id, contact(NOW - 100, ofMachine)]));
  const placed = new Map(
    [...before.jobs].map(([name, job]) => [name, { ...job, nextSerial: COPIES_PER_ZONE * ZONES.length + 1 }]),
  );
  return { ...before, jobs: placed, copies, contacts };
}

/** `job-0` with another configuration. */
function withJob(records: Records, change: (job: JobRecord) => JobRecord): Records {
  const job = records.jobs.get('job-0');
  if (!job) throw new Error('there is no job-0');
  return { ...records, jobs: new Map(records.jobs).set(job.name, change(job)) };
}

function scaledByOne(records: Records): Records {
  return withJob(records, (job) => ({
    ...job,
    spec: {
      ...job.spec,
      deployment_layout: { ...job.spec.deployment_layout, 'local-a': { count: COPIES_PER_ZONE + 1 } },
    },
  }));
}

function updated(records: Records): Records {
  return withJob(records, (job) => ({ ...job, version: job.version + 1 }));
}

/** A machine that has copies and was not heard for an hour. */
function withoutOneMachine(records: Records): Records {
  const [copy] = records.copies.values();
  if (!copy) throw new Error('nothing was placed');
  return { ...records, contacts: new Map(records.contacts).set(copy.machine, contact(BEFORE, new Map())) };
}

/** What any plan from a whole snapshot has to do at the least: look at every copy and every machine once. */
function onePass({ machines: all, copies }: Records): number {
  const free = new Map<string, number>();
  for (const machine of all.values()) free.set(machine.id, machine.cpu);
  for (const copy of copies.values()) free.set(copy.machine, (free.get(copy.machine) ?? 0) - copy.cpu);
  return free.size;
}

function measure(name: string, body: () => unknown, against?: string): Series {
  for (let i = 0; i < WARM_UPS; i++) body();
  const ms: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const start = performance.now();
    body();
    ms.push(performance.now() - start);
  }
  return { name, ms, ...(against !== undefined && { against }) };
}

/** A plan that does something else than it should would make its time worthless. */
function expectActions(what: string, plan: Plan, wanted: Record<string, number>): void {
  const found: Record<string, number> = {};
  for (const action of plan.actions) found[action.kind] = (found[action.kind] ?? 0) + 1;
  const same = JSON.stringify(Object.entries(found).sort()) === JSON.stringify(Object.entries(wanted).sort());
  if (!same)
    throw new Error(`${what}: expected the actions ${JSON.stringify(wanted)}, planned were ${JSON.stringify(found)}`);
}

const cold = coldRecords();
// Before anything is compiled: what the first plan of a cluster sitter that just started takes.
const firstStart = performance.now();
const coldPlan = planCluster(snapshot(cold));
const firstMs = performance.now() - firstStart;
const total = JOBS * COPIES_PER_ZONE * ZONES.length;
expectActions('cold', coldPlan, { 'place-copy': total });

const nothing: Records = { ...cold, machines: new Map(), contacts: new Map() };
const orders = planCluster(snapshot(nothing)).actions.filter((action) => action.kind === 'order-machine').length;
expectActions('no machines', planCluster(snapshot(nothing)), { 'order-machine': orders, 'place-copy': total });

const steady = carriedOut(cold, coldPlan);
expectActions('steady', planCluster(snapshot(steady)), {});

const scaled = scaledByOne(steady);
expectActions('one job scaled by one', planCluster(snapshot(scaled)), { 'place-copy': 1 });

const rolled = updated(steady);
expectActions('one job updated', planCluster(snapshot(rolled)), { 'update-copy': 1 });

const lost = withoutOneMachine(steady);
const moved = [...steady.copies.values()].filter((copy) => lost.contacts.get(copy.machine)?.heardAt === BEFORE).length;
expectActions('one machine lost', planCluster(snapshot(lost)), {
  'machine-state': 1,
  'forget-copy': moved,
  'place-copy': moved,
});

const FLOOR = 'one pass (floor)';
const plan = (records: Records) => () => planCluster(snapshot(records));
report(
  'planCluster',
  [
    measure(FLOOR, () => onePass(steady)),
    measure('cold: nothing placed', plan(cold), FLOOR),
    measure('no machines: all to be ordered', plan(nothing), FLOOR),
    measure('steady: nothing to do', plan(steady), FLOOR),
    measure('one job scaled by one', plan(scaled), FLOOR),
    measure('one job updated', plan(rolled), FLOOR),
    measure('one machine lost', plan(lost), FLOOR),
  ],
  {
    machines: steady.machines.size,
    copies: steady.copies.size,
    jobs: JOBS,
    zones: ZONES.length,
    warmUps: WARM_UPS,
    firstColdPlanMs: Math.round(firstMs * 10) / 10,
    machinesOrdered: orders,
    copiesOfTheLostMachine: moved,
    machinesInUse: new Set([...steady.copies.values()].map((copy) => copy.machine)).size,
  },
);
