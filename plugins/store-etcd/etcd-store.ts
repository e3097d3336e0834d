import type { Clock } from '../../core/contracts/clock.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import type {
  Change,
  CommitResult,
  Entry,
  Lease,
  StateStore,
  Transaction,
  Watch,
} from '../../core/contracts/state-store.ts';
import { messageOf } from '../../core/errors.ts';
import { CommitChain } from './commit-chain.ts';
import { type KeyValue, rangeAnswer, toBase64 } from './etcd-answers.ts';
import { EtcdClient } from './etcd-client.ts';
import { EtcdElection } from './etcd-election.ts';
import { EtcdKeys } from './etcd-keys.ts';
import type { EtcdLease } from './etcd-lease.ts';
import { listEntries } from './etcd-list.ts';
import { EtcdWatch } from './etcd-watch.ts';
import type { Config } from './schema.ts';

/** The store in etcd, for several cluster sitters. Revisions are etcd's own. */
export class EtcdStore implements StateStore {
  readonly shared = true;
  readonly #services: { clock: Clock; logger: Logger };
  readonly #client: EtcdClient;
  readonly #keys: EtcdKeys;
  readonly #commits: CommitChain;
  readonly #election: EtcdElection;
  readonly #watches = new Map<EtcdWatch, Promise<void>>();
  #lease: EtcdLease | null = null;
  #started = false;

  constructor(services: { clock: Clock; logger: Logger }, config: Config) {
    this.#services = services;
    this.#client = new EtcdClient(services.clock, config);
    this.#keys = new EtcdKeys(config.prefix);
    this.#commits = new CommitChain(this.#client, this.#keys, () => this.#lease);
    this.#election = new EtcdElection({
      ...services,
      client: this.#client,
      keys: this.#keys,
      leaseSeconds: config.lease,
      onRelease: () => {
        this.#lease = null;
      },
    });
  }

  async start(): Promise<void> {
    if (this.#started) return;
    this.#started = true;
    await this.#client.start();
    // A wrong password, and a role without our prefix, are found now.
    await this.get('meta/schema');
  }

  async stop(): Promise<void> {
    this.#started = false;
    this.#lease?.close();
    this.#lease = null;
    for (const watch of this.#watches.keys()) watch.close();
    await Promise.all(this.#watches.values());
    await this.#client.stop();
  }

  async get(key: string): Promise<Entry | undefined> {
    const { kvs } = await this.#client.call('/v3/kv/range', { key: toBase64(this.#keys.entry(key)) }, rangeAnswer);
    return kvs[0] && this.#entry(kvs[0]);
  }

  list(prefix: string): Promise<{ entries: Entry[]; revision: number }> {
    const { logger } = this.#services;
    return listEntries(
      {
        client: this.#client,
        keys: this.#keys,
        onGateway: (reason) =>
          logger.debug({ reason: messageOf(reason) }, 'a list is read by the gateway, not by gRPC'),
      },
      prefix,
    );
  }

  commit(transaction: Transaction): Promise<CommitResult> {
    return this.#commits.commit(transaction);
  }

  watch(
    prefix: string,
    revision: number,
    onChanges: (changes: Change[]) => void,
    onError: (error: Error) => void,
  ): Watch {
    const parts = { ...this.#services, client: this.#client, keys: this.#keys, prefix, onChanges, onError };
    const watch = new EtcdWatch(parts, revision);
    const run = watch.run().finally(() => this.#watches.delete(watch));
    this.#watches.set(watch, run);
    return watch;
  }

  async lead(holder: string, signal: AbortSignal, onHeld?: (by: string) => void): Promise<Lease> {
    this.#lease?.close();
    const lease = await this.#election.win({ holder, signal, before: this.#lease, onHeld });
    this.#lease = lease;
    return lease;
  }

  #entry(kv: KeyValue): Entry {
    return { key: this.#keys.own(kv.key), value: JSON.parse(kv.value), revision: kv.mod_revision };
  }
}
