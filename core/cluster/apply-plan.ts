import { randomBytes, randomUUID } from 'node:crypto';
import type { Operation } from '../contracts/state-store.ts';
import type { CopyRecord } from '../model/copy.ts';
import type { NewEvent } from '../model/event.ts';
import type { MachineRecord } from '../model/machine.ts';
import type { Action, Plan } from '../model/plan.ts';
import { type ClusterRecords, keys, type RecordChange } from './cluster-records.ts';

/** What a plan writes into the records: its intents, and the events that tell of them, in one commit. */
export function applyPlan(plan: Plan, records: ClusterRecords, now: number): RecordChange {
  const draft = new Draft(records, now);
  for (const action of plan.actions) draft.apply(action);
  return draft.finish();
}

class Draft {
  readonly #records: ClusterRecords;
  readonly #now: number;
  readonly #write = new Map<string, Operation>();
  readonly #events: NewEvent[] = [];
  readonly #machines = new Map<string, MachineRecord>();

  constructor(records: ClusterRecords, now: number) {
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
      case 'place-copy':
        this.#place(action);
        return;
      case 'update-copy':
        this.#changeCopy(
          action.copy,
          { version: action.version, cpu: action.cpu, mem: action.mem },
          'copy-update',
          action.reason,
        );
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
    }
  }

  #order(action: Extract<Action, { kind: 'order-machine' }>): void {
    const { machine: id, zone, type, replaces, reason } = action;
    const record: MachineRecord = {
      id,
      zone,
      state: 'requested',
      type: type.name,
      cpu: type.cpu,
      mem: type.mem,
      intent: randomUUID(),
      token: randomBytes(32).toString('base64url'),
      ref: null,
      address: null,
      endpoint: null,
      replaces,
      cordoned: false,
      reason,
      createdAt: this.#now,
      stateSince: this.#now,
      attempts: 0,
      nextAttemptAt: 0,
      lastError: null,
    };
    this.#put(keys.machine(id), record);
    this.#put(keys.serial(zone), Number(id.slice(zone.length + 1)) + 1);
    this.#tell('info', 'machine-requested', `${id} (${type.name}) is ordered: ${reason}`, { machine: id });
  }

  #machineState(id: string, to: MachineRecord['state'], reason: string): void {
    const before = this.#machines.get(id) ?? this.#records.machines.get(id);
    if (!before) return;
    const record: MachineRecord = {
      ...before,
      state: to,
      reason,
      stateSince: this.#now,
      attempts: 0,
      nextAttemptAt: 0,
      lastError: null,
    };
    this.#machines.set(id, record);
    this.#put(keys.machine(id), record);
    this.#tell(to === 'lost' ? 'error' : 'info', `machine-${to}`, `${id} is ${to}: ${reason}`, { machine: id });
  }

  #place(action: Extract<Action, { kind: 'place-copy' }>): void {
    const { copy: id, job, version, zone, machine, cpu, mem, reason } = action;
    const record: CopyRecord = {
      id,
      job,
      zone,
      machine,
      cpu,
      mem,
      wanted: 'run',
      version,
      recipeVersion: null,
      taskVersion: null,
      reason,
      createdAt: this.#now,
      changedAt: this.#now,
      attempts: 0,
      nextAttemptAt: 0,
      lastError: null,
    };
    this.#put(keys.copy(id), record);
    const jobRecord = this.#records.jobs.get(job);
    if (jobRecord) {
      const serial = Number(id.slice(id.lastIndexOf('.') + 1));
      const pending = this.#write.get(keys.job(job));
      const drafted = pending && 'put' in pending ? (pending.value as typeof jobRecord) : jobRecord;
      this.#put(keys.job(job), { ...drafted, nextSerial: Math.max(drafted.nextSerial, serial + 1) });
    }
    this.#tell('info', 'copy-placed', `${id} is placed on ${machine}: ${reason}`, { job, machine, copy: id });
  }

  #changeCopy(id: string, change: Partial<CopyRecord>, kind: string, reason: string): void {
    const drafted = this.#write.get(keys.copy(id));
    const before = drafted && 'put' in drafted ? (drafted.value as CopyRecord) : this.#records.copies.get(id);
    if (!before) return;
    this.#put(keys.copy(id), {
      ...before,
      ...change,
      reason,
      changedAt: this.#now,
      attempts: 0,
      nextAttemptAt: 0,
      lastError: null,
    });
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
