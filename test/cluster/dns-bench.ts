import type { Test } from 'tap';
import { DnsPublisher } from '../../core/cluster/dns/dns-publisher.ts';
import { ClusterRecords, keys } from '../../core/cluster/records/cluster-records.ts';
import type { DnsProvider, DnsRecordSet } from '../../core/contracts/dns-provider.ts';
import { readSettings } from '../../core/engine/read-settings.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { ClusterFixture } from '../decide/cluster-fixture.ts';
import { FakeDnsProvider } from '../fakes/fake-dns-provider.ts';
import { MemoryStore } from '../fakes/memory-store.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { eventually } from '../suites/eventually.ts';

export type Zones = Map<string, Map<string, DnsRecordSet>>;

/** A publisher over a store and a zone of the test's own; copies run as soon as they are put there. */
export class DnsBench {
  readonly store = new MemoryStore();
  readonly clock = new SystemClock();
  readonly cluster = new ClusterFixture();
  readonly zones: Zones = new Map([['test', new Map()]]);
  provider = new FakeDnsProvider(this.zones);
  providers: DnsProvider[] = [this.provider];
  records = new ClusterRecords(this.store, this.clock);
  publisher = this.#make();

  async begin(t: Test): Promise<this> {
    await this.records.load();
    await this.records.transact(() => ({ write: [{ put: keys.cluster, value: 'cluster-1' }], events: [] }));
    this.publisher.start();
    t.teardown(() => this.end());
    return this;
  }

  async end(): Promise<void> {
    await this.publisher.stop();
    this.records.close();
  }

  /** As after a crash: what was in memory is lost. */
  async beginAgain(): Promise<void> {
    await this.end();
    this.records = new ClusterRecords(this.store, this.clock);
    await this.records.load();
    this.publisher = this.#make();
    this.publisher.start();
  }

  #make(): DnsPublisher {
    return new DnsPublisher({
      settings: readSettings(undefined, { dns_ttl: 1 }),
      records: this.records,
      providers: this.providers,
      clock: this.clock,
      logger: silentLogger,
      snapshot: (now) => {
        const { jobs, copies, machines } = this.records;
        return { ...this.cluster.snapshot(), now, startedAt: now, jobs, copies, machines };
      },
      onChange: () => undefined,
    });
  }

  /** `count` copies of a job that run, each on a machine of its own. */
  async runs(job: string, count: number, spec: object = { dns_basename: `${job}.test` }): Promise<void> {
    const { cluster } = this;
    cluster.job(job, { 'local-a': count }, { spec });
    for (let n = 1; n <= count; n++) {
      const machine = `local-a-${job}${n}`;
      cluster.machine(machine, { zone: 'local-a', address: `10.0.${n >> 8}.${n & 255}` });
      cluster.copy(`${job}.${n}`, machine);
    }
    await this.write();
  }

  async write(): Promise<void> {
    const { jobs, machines, copies } = this.cluster;
    await this.records.transact(() => ({
      write: [
        ...[...jobs.values()].map((value) => ({ put: keys.job(value.name), value })),
        ...[...machines.values()].map((value) => ({ put: keys.machine(value.id), value })),
        ...[...copies.values()].map((value) => ({ put: keys.copy(value.id), value })),
      ],
      events: [],
    }));
  }

  async stops(copy: string): Promise<void> {
    const record = this.cluster.copies.get(copy);
    if (record) this.cluster.copies.set(copy, { ...record, wanted: 'stop', changedAt: this.clock.now() });
    await this.write();
  }

  get attention(): string[] {
    return this.publisher.conditions().map(({ sentence }) => sentence);
  }

  at(name: string, type: 'A' | 'TXT' = 'A', zone = 'test'): string[] {
    return [...(this.zones.get(zone)?.get(`${name}/${type}`)?.values ?? [])].sort();
  }

  theirs(name: string, values: string[]): void {
    this.zones.get('test')?.set(`${name}/A`, { name, type: 'A', ttl: 300, values });
  }

  events(kind: string): string[] {
    return this.records.events.filter((event) => event.kind === kind).map(({ message }) => message);
  }

  answers(name: string, values: string[]): Promise<void> {
    return eventually(() => JSON.stringify(this.at(name)) === JSON.stringify(values), `${name} is ${values}`);
  }

  settled(): Promise<void> {
    const done = (): boolean => {
      const { names } = this.publisher.view();
      return names.length > 0 && names.every(({ state }) => state === 'published' || state === 'foreign');
    };
    return eventually(done, 'every name is as it should be');
  }
}
