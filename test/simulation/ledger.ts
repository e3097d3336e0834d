import type { z } from 'zod';
import type { Transaction } from '../../core/contracts/state-store.ts';
import { alertRecord } from '../../core/model/alert.ts';
import { type CopyRecord, copyRecord } from '../../core/model/copy.ts';
import { type DnsRecord, dnsRecord } from '../../core/model/dns.ts';
import { type ClusterEvent, clusterEvent } from '../../core/model/event.ts';
import { type JobRecord, jobRecord, jobVersion } from '../../core/model/job.ts';
import { type MachineRecord, machineRecord } from '../../core/model/machine.ts';
import { type RuntimeSettings, runtimeSettings } from '../../core/model/settings.ts';
import type { World } from './world.ts';

export interface Changed<T> {
  id: string;
  before: T | undefined;
  after: T | undefined;
}

/** What one commit changed. */
export interface Commit {
  jobs: Changed<JobRecord>[];
  machines: Changed<MachineRecord>[];
  copies: Changed<CopyRecord>[];
  names: Changed<DnsRecord>[];
  events: ClusterEvent[];
}

/** The store's records as they truly are, kept apart from what any cluster sitter believes; and what ever stood there. */
export class Ledger {
  clusterId = '';
  runtime: RuntimeSettings = { maxIdlePerZone: {} };
  readonly jobs = new Map<string, JobRecord>();
  readonly machines = new Map<string, MachineRecord>();
  readonly copies = new Map<string, CopyRecord>();
  /** By `NAME/TYPE`. */
  readonly dns = new Map<string, DnsRecord>();
  /** Every intent that was ever written down, by machine; every machine that was ever to be ended; every copy that ever was. */
  readonly intents = new Map<string, string>();
  readonly condemned = new Set<string>();
  readonly copiesEver = new Set<string>();
  /** `copy version` pairs that some machine was ever to run. */
  readonly assigned = new Set<string>();
  /** Since when each job follows as it does now (ms). */
  readonly coupledSince = new Map<string, number>();
  /** When a record was last changed, other than by events. */
  changedAt = 0;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  take(transaction: Transaction): Commit {
    const commit: Commit = { jobs: [], machines: [], copies: [], names: [], events: [] };
    for (const operation of transaction.write) {
      const key = 'put' in operation ? operation.put : operation.delete;
      const value = 'put' in operation ? operation.value : undefined;
      const slash = key.indexOf('/');
      const [kind, id] = [key.slice(0, slash), key.slice(slash + 1)];
      if (kind === 'job') commit.jobs.push(this.#job(id, this.#parse(jobRecord, key, value)));
      else if (kind === 'machine') commit.machines.push(this.#machine(id, this.#parse(machineRecord, key, value)));
      else if (kind === 'copy') commit.copies.push(this.#copy(id, this.#parse(copyRecord, key, value)));
      else if (kind === 'dns') commit.names.push(this.#set(this.dns, id, this.#parse(dnsRecord, key, value)));
      else if (kind === 'version') this.#parse(jobVersion, key, value);
      else if (kind === 'event') commit.events.push(...[this.#parse(clusterEvent, key, value) ?? []].flat());
      else if (kind === 'alert') this.#parse(alertRecord, key, value);
      else if (kind === 'settings') this.runtime = this.#parse(runtimeSettings, key, value) ?? this.runtime;
      else if (key === 'meta/cluster') this.clusterId = String(value);
      // Names have a rest of their own: while their service is away they are tried again and again.
      if (kind !== 'event' && kind !== 'cursor' && kind !== 'alert' && kind !== 'dns')
        this.changedAt = this.#world.clock.now();
    }
    return commit;
  }

  onMachine(machine: string): CopyRecord[] {
    return [...this.copies.values()].filter((copy) => copy.machine === machine);
  }

  /** What is left of a run that is over is kept for its logs' sake; nobody wants anything more of it. */
  isLeft(copy: CopyRecord): boolean {
    if (copy.run === null || copy.outcome === null) return false;
    const runs = this.jobs.get(copy.job)?.runs ?? [];
    return !runs.some(({ id, state }) => id === copy.run && state === 'running');
  }

  #job(id: string, after: JobRecord | undefined): Changed<JobRecord> {
    const before = this.jobs.get(id)?.spec;
    if (after?.spec.link_restart !== before?.link_restart || after?.spec.linked_job !== before?.linked_job)
      this.coupledSince.set(id, this.#world.clock.now());
    return this.#set(this.jobs, id, after);
  }

  #machine(id: string, after: MachineRecord | undefined): Changed<MachineRecord> {
    if (after) {
      if ((this.intents.get(id) ?? after.intent) !== after.intent)
        this.#world.violate('one intent, one machine', `${id} has got a second intent`);
      this.intents.set(id, after.intent);
      if (after.state === 'terminating' || after.state === 'lost') this.condemned.add(id);
    }
    return this.#set(this.machines, id, after);
  }

  #copy(id: string, after: CopyRecord | undefined): Changed<CopyRecord> {
    if (after && !this.copies.has(id) && this.copiesEver.has(id))
      this.#world.violate('a copy id is never used twice', `${id} was there before`);
    this.copiesEver.add(id);
    if (after?.wanted === 'run') this.assigned.add(assignment(after.machine, id, after.version));
    return this.#set(this.copies, id, after);
  }

  #set<T>(map: Map<string, T>, id: string, after: T | undefined): Changed<T> {
    const before = map.get(id);
    if (after === undefined) map.delete(id);
    else map.set(id, after);
    return { id, before, after };
  }

  #parse<T>(schema: z.ZodType<T>, key: string, value: unknown): T | undefined {
    if (value === undefined) return undefined;
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    this.#world.violate('records always parse', `${key}: ${result.error.message}`);
    return undefined;
  }
}

export function assignment(machine: string, copy: string, version: number): string {
  return `${copy} v${version} on ${machine}`;
}
