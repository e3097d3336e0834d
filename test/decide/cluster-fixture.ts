import type { CopyRecord } from '../../core/model/copy.ts';
import { type JobRecord, type JobSpec, jobSpec, type RollOut, reservationOf } from '../../core/model/job.ts';
import type { MachineRecord } from '../../core/model/machine.ts';
import type { ClusterSnapshot, MachineContact, MachineType, PlanLimits } from '../../core/model/plan.ts';
import type { TaskStatus } from '../../core/model/task.ts';
import { taskConfiguration } from '../../core/model/task-configuration.ts';
import { NO_CEILINGS, PLAIN_COPY, PLAIN_JOB, PLAIN_MACHINE } from '../fakes/plain-records.ts';

export const NOW = Date.parse('2026-01-01T12:00:00Z');
const HOUR = 3_600_000;

export const TYPES: MachineType[] = [
  { name: 'small', cpu: 2, mem: 2048 },
  { name: 'large', cpu: 8, mem: 16_384 },
];

const LIMITS: PlanLimits = {
  maxIdle: () => -1,
  idleGraceMs: 30_000,
  suspectAfterMs: 3000,
  unreachableAfterMs: 10_000,
  lostAfterMs: 30_000,
  replaceBrake: 0.5,
  startupGraceMs: 15_000,
  bootDeadlineMs: 300_000,
  ...NO_CEILINGS,
};

/** A cluster to plan for, said in few words: everything that is not said is healthy, quiet and an hour old. */
export class ClusterFixture {
  readonly jobs = new Map<string, JobRecord>();
  readonly machines = new Map<string, MachineRecord>();
  readonly copies = new Map<string, CopyRecord>();
  readonly contacts = new Map<string, MachineContact & { tasks: Map<string, TaskStatus> }>();
  readonly emptySince = new Map<string, number>();
  readonly soldOut = new Map<string, number>();
  limits: PlanLimits = LIMITS;
  startedAt = NOW - HOUR;
  now = NOW;

  job(
    name: string,
    layout: Record<string, number>,
    more: { task?: object; version?: number; mem?: number; spec?: object } = {},
  ): this {
    const spec: JobSpec = jobSpec.parse({
      task_configuration: taskConfiguration.parse({ name, command: 'sleep 1', cpu: 1, mem: 100, ...more.task }),
      deployment_layout: Object.fromEntries(
        Object.entries(layout).map(([zone, count]) => [zone, { count, ...(more.mem && { mem: more.mem }) }]),
      ),
      update: { min_healthy: 10, max_parallel: 1 },
      ...more.spec,
    });
    const at = new Date(NOW - HOUR).toISOString();
    this.jobs.set(name, {
      name,
      slug: name,
      version: more.version ?? 1,
      ...PLAIN_JOB,
      lastVersion: more.version ?? 1,
      goodVersion: more.version ?? 1,
      spec,
      nextSerial: 1,
      state: 'active',
      createdAt: at,
      updatedAt: at,
    });
    return this;
  }

  /** Changes the record of a job that is there. */
  jobIs(name: string, change: Partial<JobRecord>): this {
    const job = this.jobs.get(name);
    if (!job) throw new Error(`the fixture has no job ${name}`);
    this.jobs.set(name, { ...job, ...change });
    return this;
  }

  /** The job is on its way to its version since `seconds`. */
  rolling(name: string, seconds: number, change: Partial<RollOut> = {}): this {
    const to = this.jobs.get(name)?.version ?? 1;
    const startedAt = NOW - seconds * 1000;
    const rollout = { to, startedAt, paused: false, promoted: false, revertOf: null, failed: null, ...change };
    return this.jobIs(name, { rollout, goodVersion: to > 1 ? to - 1 : null });
  }

  machine(id: string, change: Partial<MachineRecord> = {}): this {
    const zone = id.slice(0, id.lastIndexOf('-'));
    const { cpu, mem } = TYPES[0] ?? { cpu: 0, mem: 0 };
    const record: MachineRecord = {
      id,
      zone,
      state: 'ready',
      type: 'small',
      cpu,
      mem,
      intent: `intent-${id}`,
      token: 'token',
      ref: id,
      address: '127.0.0.1',
      endpoint: 'http://127.0.0.1:1',
      replaces: null,
      cordoned: false,
      ...PLAIN_MACHINE,
      reason: 'a test wants it',
      createdAt: NOW - HOUR,
      stateSince: NOW - HOUR,
      attempts: 0,
      nextAttemptAt: 0,
      lastError: null,
      ...change,
    };
    this.machines.set(id, record);
    this.contacts.set(id, { heardAt: NOW, connected: true, providerSays: 'running', trouble: null, tasks: new Map() });
    this.emptySince.set(id, NOW - HOUR);
    return this;
  }

  /** A copy that runs, well and long, unless `change` or `task` say otherwise. */
  copy(id: string, machine: string, change: Partial<CopyRecord> = {}, task: Partial<TaskStatus> | null = {}): this {
    const job = this.jobs.get(id.slice(0, id.lastIndexOf('.')));
    const { zone = '' } = this.machines.get(machine) ?? {};
    if (!job) throw new Error(`the fixture has no job for ${id}`);
    const version = change.version ?? job.version;
    this.copies.set(id, {
      id,
      job: job.name,
      zone,
      machine,
      ...reservationOf(job.spec, zone),
      wanted: 'run',
      version,
      recipeVersion: version,
      taskVersion: version,
      ...PLAIN_COPY,
      reason: 'a test wants it',
      createdAt: NOW - HOUR,
      changedAt: NOW - HOUR,
      attempts: 0,
      nextAttemptAt: 0,
      lastError: null,
      ...change,
    });
    const serial = Number(id.slice(id.lastIndexOf('.') + 1));
    this.jobs.set(job.name, { ...job, nextSerial: Math.max(job.nextSerial, serial + 1) });
    if (task) this.contacts.get(machine)?.tasks.set(id, { ...taskStatus(id, job.name, version), ...task });
    this.emptySince.delete(machine);
    return this;
  }

  /** The machine has a task of that id too, whatever the records say. */
  reports(machine: string, id: string): this {
    const job = id.slice(0, id.lastIndexOf('.'));
    this.contacts.get(machine)?.tasks.set(id, taskStatus(id, job, this.jobs.get(job)?.version ?? 1));
    return this;
  }

  silent(machine: string, seconds: number): this {
    const contact = this.contacts.get(machine);
    if (contact)
      this.contacts.set(machine, {
        ...contact,
        heardAt: NOW - seconds * 1000,
        connected: false,
        providerSays: 'unknown',
      });
    return this;
  }

  heard(machine: string, at: number): this {
    const contact = this.contacts.get(machine);
    if (contact) this.contacts.set(machine, { ...contact, heardAt: at });
    return this;
  }

  provider(machine: string, says: MachineContact['providerSays']): this {
    const contact = this.contacts.get(machine);
    if (contact) this.contacts.set(machine, { ...contact, providerSays: says });
    return this;
  }

  snapshot(): ClusterSnapshot {
    const { now, startedAt, jobs, machines, copies, contacts, emptySince, limits } = this;
    const serials = (zone: string): number =>
      1 +
      Math.max(
        0,
        ...[...machines.values()].filter((m) => m.zone === zone).map((m) => Number(m.id.slice(zone.length + 1))),
      );
    return {
      now,
      startedAt,
      jobs,
      machines,
      copies,
      contacts,
      emptySince,
      orphans: new Map(),
      soldOut: this.soldOut,
      limits,
      types: () => TYPES,
      machineSerial: serials,
    };
  }
}

function taskStatus(id: string, job: string, version: number): TaskStatus {
  return {
    id,
    job,
    name: job,
    version,
    generation: 0,
    phase: 'running',
    reason: 'running',
    since: new Date(NOW - HOUR).toISOString(),
    pid: 1234,
    run: 1,
    startedAt: new Date(NOW - HOUR).toISOString(),
    restarts: 0,
    flapping: false,
    nextStartAt: null,
    revision: 1,
    limits: {
      cpu: 1,
      memBytes: null,
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
