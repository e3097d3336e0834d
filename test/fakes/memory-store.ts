import type {
  Change,
  CommitResult,
  Entry,
  Lease,
  StateStore,
  Transaction,
  Watch,
} from '../../core/contracts/state-store.ts';
import { CerebroError } from '../../core/errors.ts';
import { ChangeHistory } from '../../core/model/change-history.ts';
import { nextEpoch } from '../../core/model/next-epoch.ts';

/** A store without a disk, for tests; it passes the same suite as the real ones. `failNext` makes the next commit fail as a full disk would. */
export class MemoryStore implements StateStore {
  failNext: CerebroError | null = null;
  readonly #entries = new Map<string, { value: unknown; revision: number }>();
  readonly #history = new ChangeHistory(0);
  #revision = 0;
  #epoch = 0;
  readonly #now: () => number;

  /** `now`: milliseconds since the epoch, for simulations. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  async start(): Promise<void> {
    await Promise.resolve();
  }

  async stop(): Promise<void> {
    await Promise.resolve();
  }

  async get(key: string): Promise<Entry | undefined> {
    const entry = this.#entries.get(key);
    return entry && { key, value: structuredClone(entry.value), revision: entry.revision };
  }

  async list(prefix: string): Promise<{ entries: Entry[]; revision: number }> {
    const entries = [...this.#entries]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, { value, revision }]) => ({ key, value: structuredClone(value), revision }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    return { entries, revision: this.#revision };
  }

  async commit(transaction: Transaction): Promise<CommitResult> {
    if (this.failNext) {
      const error = this.failNext;
      this.failNext = null;
      throw error;
    }
    const failed = (transaction.when ?? [])
      .filter(({ key, revision }) => (this.#entries.get(key)?.revision ?? 0) !== revision)
      .map(({ key }) => key);
    if (failed.length > 0) return { ok: false, failed };
    this.#revision += 1;
    const changes: Change[] = transaction.write.map((operation) => {
      if ('delete' in operation) {
        this.#entries.delete(operation.delete);
        return { key: operation.delete, value: null, revision: this.#revision };
      }
      // Twice: nobody may change what another was given.
      const text = JSON.stringify(operation.value);
      this.#entries.set(operation.put, { value: JSON.parse(text), revision: this.#revision });
      return { key: operation.put, value: JSON.parse(text), revision: this.#revision };
    });
    this.#history.add(this.#revision, changes);
    return { ok: true, revision: this.#revision };
  }

  watch(
    prefix: string,
    revision: number,
    onChanges: (changes: Change[]) => void,
    onError: (error: Error) => void,
  ): Watch {
    if (!this.#history.reaches(revision)) {
      onError(new CerebroError('conflict', 'list again'));
      return { close: () => undefined };
    }
    return { close: this.#history.watch(prefix, revision, onChanges) };
  }

  async lead(_holder: string, signal: AbortSignal): Promise<Lease> {
    signal.throwIfAborted();
    this.#epoch = nextEpoch(this.#epoch, this.#now());
    return { epoch: this.#epoch, remainingMs: () => Number.POSITIVE_INFINITY, release: async () => undefined };
  }
}
