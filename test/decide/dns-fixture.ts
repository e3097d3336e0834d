import type { DnsRecordSet } from '../../core/contracts/dns-provider.ts';
import { changesFor, findings, foldFound, foldSent, inSendingOrder, isDue } from '../../core/decide/dns/dns-fold.ts';
import { dnsHolds } from '../../core/decide/dns/dns-holds.ts';
import { markerText } from '../../core/decide/dns/dns-names.ts';
import { planDns } from '../../core/decide/dns/dns-plan.ts';
import { servingOf } from '../../core/decide/dns/dns-serving.ts';
import type { DnsRules } from '../../core/decide/dns/dns-wishes.ts';
import type { CopyRecord } from '../../core/model/copy.ts';
import type { DnsRecord } from '../../core/model/dns.ts';
import type { MachineRecord } from '../../core/model/machine.ts';
import type { ClusterSnapshot } from '../../core/model/plan.ts';
import type { TaskStatus } from '../../core/model/task.ts';
import { FakeDnsProvider } from '../fakes/fake-dns-provider.ts';
import { ClusterFixture, NOW } from './cluster-fixture.ts';

/** What becomes of what is sent. */
export type Sending = 'works' | 'is away' | 'loses its answers';

const CLUSTER = 'cluster-1';
const ZONE = 'test';

/** A job "web" with names under web.test, in a cluster and a zone that do at once what they are told. Machine N has the address 10.0.0.N. */
export class DnsFixture {
  readonly cluster = new ClusterFixture();
  readonly records = new Map<string, DnsRecord>();
  readonly zones = new Map<string, Map<string, DnsRecordSet>>([[ZONE, new Map()]]);
  maxValues: number | null = null;
  served = true;
  now = NOW;
  #machines = 0;
  rules: DnsRules = {
    ttl: 30,
    scope: 'region',
    allowEmpty: false,
    home: () => (this.served ? { provider: 'fake', zone: ZONE, maxValues: this.maxValues } : null),
  };

  snapshot(): ClusterSnapshot {
    return { ...this.cluster.snapshot(), now: this.now };
  }

  /** A copy that runs on a machine, which is made when it is not there. `runs`: the version of its task, where that is another. */
  running(
    id: string,
    machine: string,
    change: Partial<CopyRecord> = {},
    task: Partial<TaskStatus> | null = {},
    runs?: number,
  ): this {
    if (!this.cluster.machines.has(machine)) this.cluster.machine(machine, { address: `10.0.0.${++this.#machines}` });
    const version = runs ?? change.version ?? 1;
    this.cluster.copy(
      id,
      machine,
      { taskVersion: version, recipeVersion: version, ...change },
      task && { version, ...task },
    );
    return this.heard(machine);
  }

  setMachine(id: string, change: Partial<MachineRecord>): this {
    const machine = this.cluster.machines.get(id);
    if (machine) this.cluster.machines.set(id, { ...machine, ...change });
    return this;
  }

  setCopy(id: string, change: Partial<CopyRecord>): this {
    const copy = this.cluster.copies.get(id);
    if (copy) this.cluster.copies.set(id, { ...copy, changedAt: this.now, ...change });
    return this;
  }

  forget(id: string): this {
    this.cluster.copies.delete(id);
    return this;
  }

  task(id: string, change: Partial<TaskStatus>): this {
    const tasks = this.cluster.contacts.get(this.cluster.copies.get(id)?.machine ?? '')?.tasks;
    const task = tasks?.get(id);
    if (task) tasks?.set(id, { ...task, ...change });
    return this;
  }

  quiet(machine: string, seconds: number): this {
    this.cluster.silent(machine, seconds);
    return this;
  }

  heard(machine: string): this {
    this.cluster.heard(machine, this.now);
    return this;
  }

  /** As just after a start: nobody has been heard. */
  begins(): this {
    this.cluster.startedAt = this.now;
    for (const [id, contact] of this.cluster.contacts)
      this.cluster.contacts.set(id, { ...contact, heardAt: 0, connected: false, tasks: null as never });
    return this;
  }

  changeJob(change: { state?: 'removing'; layout?: Record<string, number>; basename?: string | undefined }): this {
    const job = this.cluster.jobs.get('web');
    if (!job) return this;
    const spec = { ...job.spec };
    if ('basename' in change) {
      delete spec.dns_basename;
      if (change.basename !== undefined) spec.dns_basename = change.basename;
    }
    if (change.layout)
      spec.deployment_layout = Object.fromEntries(
        Object.entries(change.layout).map(([zone, count]) => [zone, { count }]),
      );
    this.cluster.jobs.set('web', { ...job, spec, state: change.state ?? job.state });
    return this;
  }

  stopJob(stopped: boolean): this {
    const job = this.cluster.jobs.get('web');
    if (job) this.cluster.jobs.set('web', { ...job, stopped });
    return this;
  }

  single(): this {
    const job = this.cluster.jobs.get('web');
    if (job) this.cluster.jobs.set('web', { ...job, spec: { ...job.spec, singleton: true } });
    return this;
  }

  byTurns(): this {
    const job = this.cluster.jobs.get('web');
    const schedule = { cron: ['0 * * * *'], time_zone: 'UTC', overlap: 'skip' as const };
    if (job) this.cluster.jobs.set('web', { ...job, spec: { ...job.spec, schedule } as never });
    return this;
  }

  theirs(name: string, values: string[]): this {
    this.zones.get(ZONE)?.set(`${name}/A`, { name, type: 'A', ttl: 300, values });
    return this;
  }

  /** Plans, writes down and sends until there is nothing left to do now, or nothing that can be done. */
  settle(how: Sending = 'works'): void {
    for (let round = 0; round < 20; round++) {
      const { changes } = planDns(this.snapshot(), this.records, this.rules);
      for (const { key, record } of changes) {
        if (record === null) this.records.delete(key);
        else this.records.set(key, record);
      }
      const due = inSendingOrder([...this.records.values()].filter((record) => isDue(record, this.now)));
      if (changes.length === 0 && due.length === 0) return;
      for (const record of due) this.#send(record, how);
      if (how !== 'works') return;
    }
    throw new Error('the names do not come to rest');
  }

  /** As the publisher does: written down first, and looked at where nobody knows what became of it. */
  #send(record: DnsRecord, how: Sending): void {
    const key = `${record.name}/A`;
    if (how === 'is away') {
      // What is unclear already stays so: before it is looked at, nothing else is sent.
      this.records.set(key, { ...record, attempted: record.attempted ?? record.values });
      return;
    }
    const zone = this.zones.get(ZONE) ?? new Map<string, DnsRecordSet>();
    const seen = foldFound(record, findings([...zone.values()], CLUSTER)(record.name), this.now).record;
    this.records.set(key, seen);
    if (seen.foreign !== null) return;
    for (const change of changesFor(seen, markerText(CLUSTER))) {
      if (change.kind === 'put') zone.set(`${change.set.name}/${change.set.type}`, change.set);
      else zone.delete(`${change.name}/${change.type}`);
    }
    const after = how === 'works' ? foldSent(seen, record, true, this.now) : { ...seen, attempted: record.values };
    this.records.set(key, after);
  }

  machineWith(id: string, address: string): this {
    if (!this.cluster.machines.has(id)) this.cluster.machine(id, { address });
    return this;
  }

  /** The copies that serve and are to go on with it. */
  ready(): string[] {
    const snapshot = this.snapshot();
    return [...this.cluster.copies.values()]
      .filter((copy) => servingOf(copy, snapshot) === 'ready')
      .map(({ id }) => id);
  }

  addressOf(copy: string): string {
    return this.cluster.machines.get(this.cluster.copies.get(copy)?.machine ?? '')?.address ?? '';
  }

  holds(): string[] {
    const rules = { scope: this.rules.scope, ttl: this.rules.ttl, patienceMs: 30_000 };
    return [...dnsHolds(this.snapshot(), this.records, rules).keys()];
  }

  holdUntil(copy: string): number | undefined {
    return dnsHolds(this.snapshot(), this.records, { scope: 'region', ttl: this.rules.ttl, patienceMs: 30_000 }).get(
      copy,
    );
  }

  record(name: string): DnsRecord | undefined {
    return this.records.get(`${name}/A`);
  }

  /** What the zone answers to A queries, by name. */
  answers(): Record<string, readonly string[]> {
    const sets = [...(this.zones.get(ZONE)?.values() ?? [])].filter(({ type }) => type === 'A');
    return Object.fromEntries(sets.map(({ name, values }) => [name, values]));
  }

  pools(): string[] {
    return [...this.records.values()]
      .filter(({ kind }) => kind === 'pool')
      .map(({ name }) => name)
      .sort();
  }
}

export function web(layout: Record<string, number>): DnsFixture {
  const dns = new DnsFixture();
  dns.cluster.job('web', layout, { spec: { dns_basename: 'web.test' } });
  return dns;
}

export function fakeOver(dns: DnsFixture): FakeDnsProvider {
  return new FakeDnsProvider(dns.zones, { maxValues: dns.maxValues });
}
