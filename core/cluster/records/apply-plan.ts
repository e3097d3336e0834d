import type { Operation } from '../../contracts/state-store.ts';
import { serialOf } from '../../decide/plan/copy-ready.ts';
import { settledUntil } from '../../decide/plan/job-runs.ts';
import type { CopyRecord } from '../../model/copy.ts';
import type { NewEvent } from '../../model/event.ts';
import { copiesIn, type JobRecord, type JobRun, type JobSpec, type JobVersion, type RollOut } from '../../model/job.ts';
import type { MachineRecord } from '../../model/machine.ts';
import type { Action, Plan } from '../../model/plan.ts';
import { type ClusterRecords, keys, type RecordChange } from './cluster-records.ts';
import { orderedMachine, placedCopy, takenCopy } from './new-records.ts';

/** The records that a plan is carried out on. */
export type PlannedRecords = {
  readonly [K in 'jobs' | 'machines' | 'copies' | 'versions']: ReadonlyMap<
    string,
    ClusterRecords[K] extends Map<string, infer V> ? V : never
  >;
};

/** What a plan writes into the records: its intents, and the events that tell of them, in one commit. */
export function applyPlan(plan: Plan, records: PlannedRecords, now: number): RecordChange {
  const draft = new Draft(records, now);
  for (const action of plan.actions) draft.apply(action);
  return draft.finish();
}

/** The zones of a version, with as many copies as there are to be now: somebody may have scaled the job since. */
function countsOfNow(version: JobSpec, { deployment_layout: now }: JobSpec): JobSpec['deployment_layout'] {
  const entries = Object.entries(version.deployment_layout).map(([zone, entry]) => {
    const present = now[zone];
    const same = present === undefined || copiesIn(present) === copiesIn(entry);
    return [zone, same ? entry : { ...entry, count: copiesIn(present) }] as const;
  });
  return Object.fromEntries(entries);
}

/** Runs that a job remembers. */
const KEPT_RUNS = 50;

export function newRollOut(to: number, now: number, revertOf: number | null = null): RollOut {
  return { to, startedAt: now, paused: false, promoted: false, revertOf, failed: null };
}

/** The newest runs; one that goes on is never forgotten. */
export function keptRuns(runs: readonly JobRun[]): JobRun[] {
  const surplus = runs.length - KEPT_RUNS;
  return runs.filter((run, i) => i >= surplus || run.state === 'running');
}

class Draft {
  readonly #records: PlannedRecords;
  readonly #now: number;
  readonly #write = new Map<string, Operation>();
  readonly #events: NewEvent[] = [];
  readonly #machines = new Map<string, MachineRecord>();
  readonly #jobs = new Map<string, JobRecord>();
  readonly #copies = new Map<string, CopyRecord>();

  constructor(records: PlannedRecords, now: number) {
    this.#records = records;
    this.#now = now;
  }

  finish(): RecordChange {
    return { write: [...this.#write.values()], events: this.#events };
  }

  apply(action: Action): void {
    switch (action.kind) {
      case 'order-machine':
        this.#order(action);
        return;
      case 'machine-state':
        this.#machineState(action.machine, action.to, action.reason);
        return;
      case 'uncordon':
        this.#uncordon(action);
        return;
      case 'place-copy':
        this.#place(action);
        return;
      case 'update-copy': {
        const { version, cpu, mem, linked } = action;
        const { restarts } = this.#job(this.#records.copies.get(action.copy)?.job ?? '') ?? { restarts: 0 };
        this.#changeCopy(
          action.copy,
          { version, cpu, mem, linked, jobRestarts: restarts },
          'copy-update',
          action.reason,
        );
        return;
      }
      case 'restart-copy': {
        const generation = (this.#records.copies.get(action.copy)?.generation ?? 0) + 1;
        const { jobRestarts, linked } = action;
        this.#changeCopy(action.copy, { generation, jobRestarts, linked }, 'copy-restart', action.reason);
        return;
      }
      case 'note-links':
        this.#noteLinks(action.copy, action.linked);
        return;
      case 'copy-outcome':
        this.#changeCopy(action.copy, { outcome: action.outcome }, `copy-${action.outcome}`, action.reason);
        return;
      case 'roll-done':
        this.#rollDone(action);
        return;
      case 'roll-failed':
        this.#rollFailed(action);
        return;
      case 'begin-run':
        this.#beginRun(action);
        return;
      case 'end-run':
        this.#endRun(action);
        return;
      case 'stop-copy':
        this.#changeCopy(action.copy, { wanted: 'stop' }, 'copy-stop', action.reason);
        return;
      case 'forget-copy':
        this.#forgetCopy(action.copy, action.reason);
        return;
      case 'forget-job':
        this.#forgetJob(action.job, action.reason);
        return;
      case 'take-copy':
        this.#take(action);
        return;
      case 'note-stranger':
        this.#put(keys.stranger(action.machine), action.ref);
        this.#tell('warn', 'stranger', action.reason, { machine: action.machine });
        return;
    }
  }

  #order(action: Extract<Action, { kind: 'order-machine' }>): void {
    const { machine: id, zone, type, reason } = action;
    const record = orderedMachine(action, this.#now);
    this.#put(keys.machine(id), record);
    this.#put(keys.serial(zone), Number(id.slice(zone.length + 1)) + 1);
    this.#tell('info', 'machine-requested', `${id} (${type.name}) is ordered: ${reason}`, { machine: id });
  }

  #rollDone({ job: name, version, reason }: Extract<Action, { kind: 'roll-done' }>): void {
    const job = this.#changeJob(name, { rollout: null, goodVersion: version });
    if (!job) return;
    this.#outcome(name, version, 'good', null);
    this.#tell('info', 'rollout-done', `version ${version} of "${name}" is rolled out: ${reason}`, { job: name });
  }

  /** The version is marked as failed; the way back to the last good one begins, where there is one and it is wanted. */
  #rollFailed({ job: name, version, revertTo, reason }: Extract<Action, { kind: 'roll-failed' }>): void {
    const job = this.#job(name);
    if (!job?.rollout) return;
    this.#outcome(name, version, 'failed', reason);
    const back = revertTo === null ? undefined : this.#records.versions.get(keys.version(name, revertTo));
    if (!back) {
      this.#changeJob(name, { rollout: { ...job.rollout, failed: reason } });
      this.#tell('error', 'rollout-failed', `version ${version} of "${name}" has failed: ${reason}`, { job: name });
      return;
    }
    this.#changeJob(name, {
      version: back.version,
      spec: { ...back.spec, deployment_layout: countsOfNow(back.spec, job.spec) },
      scheduledUntil: settledUntil(job, back.spec, this.#now),
      updatedAt: new Date(this.#now).toISOString(),
      rollout: newRollOut(back.version, this.#now, version),
    });
    const message = `version ${version} of "${name}" has failed: ${reason}; it goes back to version ${back.version}`;
    this.#tell('error', 'rollout-reverted', message, { job: name });
  }

  #outcome(job: string, version: number, outcome: 'good' | 'failed', sentence: string | null): void {
    const key = keys.version(job, version);
    const record = this.#records.versions.get(key);
    if (record) this.#put(key, { ...record, outcome, sentence } satisfies JobVersion);
  }

  #beginRun({ job: name, run, scheduledUntil, reason }: Extract<Action, { kind: 'begin-run' }>): void {
    const job = this.#job(name);
    if (!job) return;
    this.#changeJob(name, { scheduledUntil, runs: keptRuns([...job.runs, run]) });
    if (run.state === 'skipped') this.#tell('warn', 'run-skipped', `a run of "${name}" ${reason}`, { job: name });
    else this.#tell('info', 'run-begun', `run ${run.id} of "${name}" begins: ${reason}`, { job: name });
  }

  #endRun({ job: name, run: id, state, reason }: Extract<Action, { kind: 'end-run' }>): void {
    const job = this.#job(name);
    if (!job) return;
    const runs = job.runs.map((run) => (run.id === id ? { ...run, state, endedAt: this.#now, sentence: reason } : run));
    this.#changeJob(name, { runs });
    const level = state === 'failed' ? 'error' : 'info';
    this.#tell(level, `run-${state}`, `run ${id} of "${name}" is ${state}: ${reason}`, { job: name });
  }

  #noteLinks(id: string, linked: Record<string, number>): void {
    const before = this.#copy(id);
    if (before) this.#put(keys.copy(id), { ...before, linked });
  }

  #machineState(id: string, to: MachineRecord['state'], reason: string): void {
    const before = this.#machines.get(id) ?? this.#records.machines.get(id);
    if (!before) return;
    const record: MachineRecord = {
      ...before,
      state: to,
      reason,
      stateSince: this.#now,
      ...(to === 'draining' && { cordoned: true }),
      attempts: 0,
      nextAttemptAt: 0,
      lastError: null,
    };
    this.#machines.set(id, record);
    this.#put(keys.machine(id), record);
    this.#tell(to === 'lost' ? 'error' : 'info', `machine-${to}`, `${id} is ${to}: ${reason}`, { machine: id });
  }

  #uncordon({ machine: id, reason }: Extract<Action, { kind: 'uncordon' }>): void {
    const before = this.#machines.get(id) ?? this.#records.machines.get(id);
    if (!before) return;
    this.#machines.set(id, { ...before, cordoned: false, cordonedFor: undefined });
    this.#put(keys.machine(id), this.#machines.get(id));
    this.#tell('error', 'machine-uncordoned', `${id} may have copies again: ${reason}`, { machine: id });
  }

  #place(action: Extract<Action, { kind: 'place-copy' }>): void {
    const { copy: id, job, machine, reason } = action;
    const record = placedCopy(action, this.#job(job)?.restarts ?? 0, this.#now);
    this.#seat(record);
    this.#tell('info', 'copy-placed', `${id} is placed on ${machine}: ${reason}`, { job, machine, copy: id });
  }

  /** What was found running is a copy from here on. Its name may be a number ahead of the job's own. */
  #take(action: Extract<Action, { kind: 'take-copy' }>): void {
    const { copy: id, job, machine, reason } = action;
    this.#seat(takenCopy(action, this.#job(job)?.restarts ?? 0, this.#now));
    const host = this.#machines.get(machine) ?? this.#records.machines.get(machine);
    if (host) {
      const after = { ...host, found: host.found?.filter((task) => task.id !== id) };
      this.#machines.set(machine, after);
      this.#put(keys.machine(machine), after);
    }
    this.#tell('info', 'copy-taken', `${id} on ${machine} is taken over: ${reason}`, { job, machine, copy: id });
  }

  #seat(record: CopyRecord): void {
    const { id, job } = record;
    this.#copies.set(id, record);
    this.#put(keys.copy(id), record);
    const nextSerial = Math.max(this.#job(job)?.nextSerial ?? 1, serialOf({ id }) + 1);
    this.#changeJob(job, { nextSerial });
  }

  #changeCopy(id: string, change: Partial<CopyRecord>, kind: string, reason: string): void {
    const before = this.#copy(id);
    if (!before) return;
    const after: CopyRecord = {
      ...before,
      ...change,
      reason,
      changedAt: this.#now,
      attempts: 0,
      nextAttemptAt: 0,
      lastError: null,
    };
    this.#copies.set(id, after);
    this.#put(keys.copy(id), after);
    this.#tell('info', kind, `${id}: ${reason}`, { job: before.job, machine: before.machine, copy: id });
  }

  #forgetCopy(id: string, reason: string): void {
    const before = this.#records.copies.get(id);
    if (!before) return;
    this.#delete(keys.copy(id));
    this.#tell('info', 'copy-gone', `${id} is gone: ${reason}`, { job: before.job, machine: before.machine, copy: id });
  }

  #forgetJob(name: string, reason: string): void {
    const job = this.#records.jobs.get(name);
    if (job) this.#put(keys.jobSerial(job.slug), job.nextSerial);
    this.#delete(keys.job(name));
    for (const [key, version] of this.#records.versions) if (version.job === name) this.#delete(key);
    this.#tell('info', 'job-gone', `"${name}" is gone: ${reason}`, { job: name });
  }

  /** The records as this draft leaves them. */
  #job(name: string): JobRecord | undefined {
    return this.#jobs.get(name) ?? this.#records.jobs.get(name);
  }

  #copy(id: string): CopyRecord | undefined {
    return this.#copies.get(id) ?? this.#records.copies.get(id);
  }

  #changeJob(name: string, change: Partial<JobRecord>): JobRecord | undefined {
    const before = this.#job(name);
    if (!before) return undefined;
    const after = { ...before, ...change };
    this.#jobs.set(name, after);
    this.#put(keys.job(name), after);
    return after;
  }

  #put(key: string, value: unknown): void {
    this.#write.set(key, { put: key, value });
  }

  #delete(key: string): void {
    this.#write.set(key, { delete: key });
  }

  #tell(
    level: NewEvent['level'],
    kind: string,
    message: string,
    about: Pick<NewEvent, 'job' | 'machine' | 'copy'>,
  ): void {
    this.#events.push({ level, kind, message, ...about });
  }
}
