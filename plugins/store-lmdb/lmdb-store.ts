import { mkdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
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
import { CerebroError, messageOf } from '../../core/errors.ts';
import { ChangeHistory } from '../../core/model/change-history.ts';
import { nextEpoch } from '../../core/model/next-epoch.ts';
import type { Config } from './schema.ts';

/** Less room than this, and a write that failed is taken to have failed for it. */
const FULL_BYTES = 1024 * 1024;

interface Stored {
  v: unknown;
  r: number;
}

/**
 * The embedded store: LMDB in the data folder, one process, durable with each commit.
 *
 * Commits are synchronous: about half a millisecond with its flush. lmdb's asynchronous transactions lose track of a commit that
 * fails (3.5: on a full disk one is rejected twice, and the next never settles); a synchronous one throws, and nothing was changed.
 * `overlappingSync: false`: by default a commit is acknowledged before its flush.
 */
export class LmdbStore implements StateStore {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #root: RootDatabase | null = null;
  #data: Database<Stored, string> | null = null;
  #meta: Database<number, string> | null = null;
  #history = new ChangeHistory(0);

  constructor(services: { dataDir: string; clock: Clock; logger: Logger }, config: Config) {
    this.#path = join(services.dataDir, config.folder);
    this.#clock = services.clock;
    this.#logger = services.logger;
  }

  async start(): Promise<void> {
    if (this.#root) return;
    mkdirSync(this.#path, { recursive: true, mode: 0o700 });
    try {
      this.#root = open({ path: this.#path, overlappingSync: false, maxDbs: 4, encoding: 'json' });
      this.#data = this.#root.openDB<Stored, string>({ name: 'data', encoding: 'json' });
      this.#meta = this.#root.openDB<number, string>({ name: 'meta', encoding: 'json' });
    } catch (error) {
      throw this.#failed(error, `the store in ${this.#path} cannot be opened`);
    }
    this.#history = new ChangeHistory(this.#revision());
  }

  async stop(): Promise<void> {
    const root = this.#root;
    this.#root = null;
    this.#data = null;
    this.#meta = null;
    await root?.close();
  }

  async get(key: string): Promise<Entry | undefined> {
    const stored = this.#open().data.get(key);
    return stored && { key, value: stored.v, revision: stored.r };
  }

  async list(prefix: string): Promise<{ entries: Entry[]; revision: number }> {
    const { data } = this.#open();
    const entries: Entry[] = [];
    for (const { key, value } of data.getRange({ start: prefix })) {
      if (!key.startsWith(prefix)) break;
      entries.push({ key, value: value.v, revision: value.r });
    }
    return { entries, revision: this.#revision() };
  }

  async commit(transaction: Transaction): Promise<CommitResult> {
    const { root, data, meta } = this.#open();
    const changes: Change[] = [];
    let result: CommitResult;
    try {
      result = root.transactionSync((): CommitResult => {
        const failedKeys = (transaction.when ?? [])
          .filter(({ key, revision }) => (data.get(key)?.r ?? 0) !== revision)
          .map(({ key }) => key);
        if (failedKeys.length > 0) return { ok: false, failed: failedKeys };
        const revision = this.#revision() + 1;
        for (const operation of transaction.write) {
          if ('put' in operation) {
            // Through JSON, so that what is read later is what a watcher is told now.
            const value: unknown = JSON.parse(JSON.stringify(operation.value));
            data.putSync(operation.put, { v: value, r: revision });
            changes.push({ key: operation.put, value, revision });
          } else {
            data.removeSync(operation.delete);
            changes.push({ key: operation.delete, value: null, revision });
          }
        }
        meta.putSync('revision', revision);
        return { ok: true, revision };
      });
    } catch (error) {
      throw this.#failed(error, 'the change was not recorded');
    }
    if (result.ok) this.#history.add(result.revision, changes);
    return result;
  }

  watch(
    prefix: string,
    revision: number,
    onChanges: (changes: Change[]) => void,
    onError: (error: Error) => void,
  ): Watch {
    if (!this.#history.reaches(revision)) {
      onError(
        new CerebroError('conflict', `what came after revision ${revision} is no longer known one by one; list again`),
      );
      return { close: () => undefined };
    }
    return { close: this.#history.watch(prefix, revision, onChanges) };
  }

  /** One process has the data folder (its lock sees to that), so whoever asks leads; the epoch grows all the same. */
  async lead(holder: string, signal: AbortSignal): Promise<Lease> {
    signal.throwIfAborted();
    const { root, meta } = this.#open();
    let epoch = 0;
    try {
      root.transactionSync(() => {
        epoch = nextEpoch(meta.get('epoch') ?? 0, this.#clock.now());
        meta.putSync('epoch', epoch);
      });
    } catch (error) {
      throw this.#failed(error, 'the lead could not be taken');
    }
    this.#logger.debug({ holder, epoch }, 'took the lead');
    return { epoch, remainingMs: () => (this.#root ? Number.POSITIVE_INFINITY : 0), release: async () => undefined };
  }

  #revision(): number {
    return this.#meta?.get('revision') ?? 0;
  }

  #open(): { root: RootDatabase; data: Database<Stored, string>; meta: Database<number, string> } {
    if (!this.#root || !this.#data || !this.#meta) throw new CerebroError('unavailable', 'the store is not open');
    return { root: this.#root, data: this.#data, meta: this.#meta };
  }

  /** On a full disk LMDB may say ENOSPC, MDB_MAP_FULL, or (its write came back short) no more than EIO: then the disk itself is asked. */
  #failed(error: unknown, what: string): CerebroError {
    const words = messageOf(error);
    if (/no space|ENOSPC|MAP_FULL|disk quota/i.test(words) || (/input\/output/i.test(words) && this.#diskIsFull())) {
      return new CerebroError(
        'no_space',
        `${what}: the disk under the store (${this.#path}) is full; what was acknowledged before stays`,
        { cause: error },
      );
    }
    return new CerebroError('unavailable', `${what}: ${words}`, { cause: error });
  }

  #diskIsFull(): boolean {
    const { bavail, bsize } = statfsSync(this.#path);
    return bavail * bsize < FULL_BYTES;
  }
}
