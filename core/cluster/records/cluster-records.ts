import type { Clock, Timer } from '../../contracts/clock.ts';
import type {
  Change,
  CommitResult,
  Condition,
  Operation,
  StateStore,
  Transaction,
  Watch,
} from '../../contracts/state-store.ts';
import { CerebroError, messageOf } from '../../errors.ts';
import { type AlertRecord, alertRecord } from '../../model/alert.ts';
import { type ApiTokenRecord, apiTokenRecord } from '../../model/api-token.ts';
import { checkStore, storeKeys } from '../../model/backup.ts';
import { type CopyRecord, copyRecord } from '../../model/copy.ts';
import { type DnsRecord, dnsRecord } from '../../model/dns.ts';
import { type ClusterEvent, clusterEvent, type NewEvent } from '../../model/event.ts';
import { type JobRecord, type JobVersion, jobRecord, jobVersion } from '../../model/job.ts';
import { type MachineRecord, machineRecord } from '../../model/machine.ts';
import { type SecretRecord, secretRecord } from '../../model/secret.ts';
import { type RuntimeSettings, runtimeSettings } from '../../model/settings.ts';
import { keep } from './keep-record.ts';
import { keys } from './record-keys.ts';
import { RevisionWaiters } from './revision-waiters.ts';

export { keys } from './record-keys.ts';

/** Events that the timeline keeps; with each new one the oldest goes. */
const KEPT_EVENTS = 10_000;
/** Our own commit comes back by the watch within this, or whoever made it is told that it did not. */
const HEARD_MS = 15_000;
const RELOAD_MS = 1000;

export interface RecordHooks {
  /** Throws when nothing may be written now. */
  mayWrite?(): void;
  /** The records were read anew, all of them: what came between is not known one by one. */
  onReload?(): void;
}

export interface RecordChange {
  write: Operation[];
  events: NewEvent[];
}

/**
 * The cluster's records: the store's content in memory, parsed once, and the only way to change it.
 *
 * Changes are made one after another. Each is built from the records as they are when its turn comes, and committed on the
 * condition that what it rewrites is still what was read: a cluster sitter that has been succeeded cannot overwrite its successor's.
 */
export class ClusterRecords {
  readonly jobs = new Map<string, JobRecord>();
  readonly versions = new Map<string, JobVersion>();
  readonly machines = new Map<string, MachineRecord>();
  readonly copies = new Map<string, CopyRecord>();
  readonly serials = new Map<string, number>();
  readonly cursors = new Map<string, number>();
  readonly alerts = new Map<string, AlertRecord>();
  /** Instances with our tag that this store has never ordered: what their provider calls them, by machine id. */
  readonly strangers = new Map<string, string>();
  /** Below these numbers, by zone, machines were ordered from a store before this one. */
  readonly adoptedBelow = new Map<string, number>();
  readonly secrets = new Map<string, SecretRecord>();
  readonly tokens = new Map<string, ApiTokenRecord>();
  /** By NAME/TYPE. */
  readonly dns = new Map<string, DnsRecord>();
  runtime: RuntimeSettings = { maxIdlePerZone: {} };
  /** What the store says of itself and of the cluster, by key. */
  readonly meta = new Map<string, unknown>();
  /** Oldest first. */
  events: ClusterEvent[] = [];
  readonly #store: StateStore;
  readonly #clock: Clock;
  /** The ids of the copies on each machine. */
  readonly #byMachine = new Map<string, Set<string>>();
  readonly #revisions = new Map<string, number>();
  readonly #listeners = new Set<(changes: readonly Change[]) => void>();
  #turn: Promise<unknown> = Promise.resolve();
  #nextEvent = 1;
  #watch: Watch | null = null;
  /** The revision up to which everything was taken in. */
  revision = 0;
  readonly #awaiting: RevisionWaiters;
  /** Why the store took no change when it was last asked; null: it did. */
  trouble: string | null = null;
  /** Called when the store begins to take no changes, for whoever tries on. */
  onTrouble: (() => void) | null = null;
  #failure: Error | null = null;
  readonly #hooks: RecordHooks;
  #reload: Timer | null = null;
  #loading: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(store: StateStore, clock: Clock, hooks: RecordHooks = {}) {
    this.#store = store;
    this.#clock = clock;
    this.#hooks = hooks;
    this.#awaiting = new RevisionWaiters(clock);
  }

  get clusterId(): string {
    return String(this.meta.get(keys.cluster) ?? '');
  }

  /** The store's own name; empty: it has none yet. */
  get storeId(): string {
    return String(this.meta.get(storeKeys.id) ?? '');
  }

  /** Reads everything, also anew: what was known before is forgotten when the store has answered. */
  load(): Promise<void> {
    const turn = this.#loading.then(() => this.#load());
    this.#loading = turn.catch(() => undefined); // who asked is told; the next one reads all the same
    return turn;
  }

  async #load(): Promise<void> {
    this.#watch?.close();
    this.#watch = null;
    const { entries, revision } = await this.#store.list('');
    if (this.#closed) return;
    checkStore(entries);
    this.#forget();
    for (const entry of entries) this.#take(entry.key, entry.value, entry.revision);
    this.revision = revision;
    this.#failure = null;
    this.#awaiting.settle(this.revision);
    // The one way in, for our own commits and for what others write: so everything is taken in the order of its revisions.
    this.#watch = this.#store.watch(
      '',
      revision,
      (changes) => this.#adopt(changes),
      (error) => this.#stale(error),
    );
  }

  close(): void {
    this.#closed = true;
    this.#reload?.cancel();
    this.#watch?.close();
    this.#fail(new CerebroError('unavailable', 'the records are closed; the daemon is stopping'));
  }

  /** Commits what `build` makes of the records as they are now; null: nothing to do. Resolves when it is durable. */
  transact(build: () => RecordChange | null): Promise<void> {
    const turn = this.#turn.then(() => this.#commit(build));
    this.#turn = turn.catch(() => undefined); // the next one's turn comes whatever became of this one
    return turn;
  }

  /** Whether a machine has copies of jobs that may not run twice. */
  singletonsOn(machine: string): boolean {
    // By the version that runs there: a job may just be becoming a singleton, or ceasing to be one.
    const isSingleton = (copy: CopyRecord): boolean | undefined =>
      (this.spec(copy.job, copy.taskVersion ?? copy.version) ?? this.jobs.get(copy.job)?.spec)?.singleton;
    return (
      this.copiesOn(machine).some(isSingleton) ||
      (this.machines.get(machine)?.found ?? []).some(({ leash }) => leash !== null)
    );
  }

  copiesOn(machine: string): CopyRecord[] {
    return [...(this.#byMachine.get(machine) ?? [])].flatMap((id) => this.copies.get(id) ?? []);
  }

  spec(job: string, version: number): JobVersion['spec'] | undefined {
    return this.versions.get(keys.version(job, version))?.spec;
  }

  onChange(listener: (changes: readonly Change[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #commit(build: () => RecordChange | null): Promise<void> {
    if (this.#failure) throw this.#failure;
    this.#hooks.mayWrite?.();
    const change = build();
    if (change === null || (change.write.length === 0 && change.events.length === 0)) return;
    const write = [...change.write, ...this.#eventWrites(change.events)];
    const when: Condition[] = [];
    for (const operation of write) {
      const key = 'put' in operation ? operation.put : operation.delete;
      if (!('delete' in operation && key.startsWith('event/')))
        when.push({ key, revision: this.#revisions.get(key) ?? 0 });
    }
    const result = await this.#put({ when, write });
    if (!result.ok) {
      throw new CerebroError(
        'conflict',
        `the records were changed by somebody else meanwhile (${result.failed.slice(0, 3).join(', ')})`,
      );
    }
    await this.takenIn(result.revision);
  }

  /** Throws `unavailable` when the store has not told of it by then. */
  async takenIn(revision: number, withinMs = HEARD_MS): Promise<void> {
    if (this.revision < revision) await this.#awaiting.wait(revision, withinMs);
  }

  async #put(transaction: Transaction): Promise<CommitResult> {
    try {
      const result = await this.#store.commit(transaction);
      this.trouble = null;
      return result;
    } catch (error) {
      const begins = this.trouble === null;
      this.trouble = messageOf(error);
      if (begins) this.onTrouble?.();
      throw error;
    }
  }

  /** The watch is over: nothing is built on what may be old, and everything is read anew until that works. */
  #stale(error: Error): void {
    if (this.#closed) return;
    this.#fail(error);
    this.#reload?.cancel();
    this.#reload = this.#clock.timer(0, () => {
      this.load().then(
        () => this.#hooks.onReload?.(),
        (trouble: unknown) => {
          if (this.#closed) return;
          this.#reload = this.#clock.timer(RELOAD_MS, () =>
            this.#stale(new CerebroError('unavailable', `the records cannot be read: ${messageOf(trouble)}`)),
          );
        },
      );
    });
  }

  #forget(): void {
    const { jobs, versions, machines, copies, serials, cursors, alerts, strangers, adoptedBelow } = this;
    const { secrets, tokens, dns, meta } = this;
    const records = [jobs, versions, machines, copies, serials, cursors, alerts, secrets, tokens, dns, meta];
    const all = [...records, strangers, adoptedBelow];
    for (const map of all) map.clear();
    this.#byMachine.clear();
    this.#revisions.clear();
    this.runtime = { maxIdlePerZone: {} };
    this.events = [];
    this.#nextEvent = 1;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#awaiting.fail(this.#failure);
  }

  #eventWrites(events: readonly NewEvent[]): Operation[] {
    const at = new Date(this.#clock.now()).toISOString();
    return events.flatMap((event, i): Operation[] => {
      const seq = this.#nextEvent + i;
      const oldest = seq - KEPT_EVENTS;
      const put: Operation = { put: keys.event(seq), value: { ...event, seq, at } satisfies ClusterEvent };
      return oldest > 0 ? [put, { delete: keys.event(oldest) }] : [put];
    });
  }

  #adopt(changes: readonly Change[]): void {
    for (const change of changes) this.#take(change.key, change.value, change.revision);
    this.revision = changes.at(-1)?.revision ?? this.revision;
    for (const listener of this.#listeners) listener(changes);
    this.#awaiting.settle(this.revision);
  }

  #take(key: string, value: unknown, revision: number): void {
    if (value === null) this.#revisions.delete(key);
    else this.#revisions.set(key, revision);
    const slash = key.indexOf('/');
    const [kind, rest] = [key.slice(0, slash), key.slice(slash + 1)];
    switch (kind) {
      case 'job':
        keep(this.jobs, rest, value, jobRecord, key);
        return;
      case 'version':
        keep(this.versions, key, value, jobVersion, key);
        return;
      case 'machine':
        keep(this.machines, rest, value, machineRecord, key);
        return;
      case 'copy':
        this.#unseat(rest);
        keep(this.copies, rest, value, copyRecord, key);
        this.#seat(rest);
        return;
      case 'alert':
        keep(this.alerts, rest, value, alertRecord, key);
        return;
      case 'token':
        keep(this.tokens, rest, value, apiTokenRecord, key);
        return;
      case 'serial':
        this.serials.set(rest, Number(value ?? 1));
        return;
      case 'cursor':
        if (value === null) this.cursors.delete(rest);
        else this.cursors.set(rest, Number(value));
        return;
      case 'adopted':
        if (value === null) this.adoptedBelow.delete(rest);
        else this.adoptedBelow.set(rest, Number(value));
        return;
      case 'stranger':
        if (value === null) this.strangers.delete(rest);
        else this.strangers.set(rest, String(value));
        return;
      case 'secret':
        keep(this.secrets, rest, value, secretRecord, key);
        return;
      case 'dns':
        keep(this.dns, rest, value, dnsRecord, key);
        return;
      case 'settings':
        this.runtime = runtimeSettings.parse(value ?? { maxIdlePerZone: {} });
        return;
      case 'meta':
        if (value === null) this.meta.delete(key);
        else this.meta.set(key, value);
        return;
      case 'event':
        if (value !== null) this.#takeEvent(clusterEvent.parse(value));
        return;
    }
  }

  #seat(copy: string): void {
    const machine = this.copies.get(copy)?.machine;
    if (machine === undefined) return;
    const there = this.#byMachine.get(machine);
    if (there) there.add(copy);
    else this.#byMachine.set(machine, new Set([copy]));
  }

  #unseat(copy: string): void {
    const machine = this.copies.get(copy)?.machine;
    const there = machine === undefined ? undefined : this.#byMachine.get(machine);
    there?.delete(copy);
    if (machine !== undefined && there?.size === 0) this.#byMachine.delete(machine);
  }

  #takeEvent(event: ClusterEvent): void {
    this.events.push(event);
    if (this.events.length > KEPT_EVENTS * 1.2) this.events = this.events.slice(-KEPT_EVENTS);
    this.#nextEvent = Math.max(this.#nextEvent, event.seq + 1);
  }
}
