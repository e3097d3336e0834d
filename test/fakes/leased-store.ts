import type { Lease, StateStore, Watch } from '../../core/contracts/state-store.ts';
import { CerebroError } from '../../core/errors.ts';
import { MemoryStore } from './memory-store.ts';

/** What several cluster sitters share: one memory, and one lead. */
export class SharedLead {
  readonly memory = new MemoryStore();
  holder: LeasedStore | null = null;
}

/**
 * A memory store whose lead can be taken away, as one process sees it. `away`: it does not answer, neither calls nor watches
 * tell anything; the lead is over.
 */
export class LeasedStore implements StateStore {
  away = false;
  /** Milliseconds that the lease is said to hold. */
  remainingMs = 10_000;
  readonly #shared: SharedLead;
  #fence: { over: boolean } | null = null;
  #onError: ((error: Error) => void) | null = null;

  constructor(shared: SharedLead) {
    this.#shared = shared;
  }

  async start(): Promise<void> {
    await Promise.resolve();
  }

  async stop(): Promise<void> {
    await Promise.resolve();
  }

  /** The lease is over; who asks next gets the lead. */
  takeAway(): void {
    if (this.#fence) this.#fence.over = true;
    if (this.#shared.holder === this) this.#shared.holder = null;
  }

  /** The watch ends as after a compaction. */
  compact(): void {
    this.#onError?.(new CerebroError('conflict', 'it was compacted; list again'));
  }

  get: StateStore['get'] = async (key) => this.#there().get(key);
  list: StateStore['list'] = async (prefix) => this.#there().list(prefix);

  commit: StateStore['commit'] = async (transaction) => {
    const memory = this.#there();
    if (this.#fence?.over) throw new CerebroError('conflict', 'this one does not lead any more');
    return memory.commit(transaction);
  };

  watch: StateStore['watch'] = (prefix, revision, onChanges, onError): Watch => {
    this.#onError = onError;
    return this.#shared.memory.watch(prefix, revision, onChanges, onError);
  };

  async lead(holder: string, signal: AbortSignal): Promise<Lease> {
    while (this.away || this.#shared.holder) {
      if (signal.aborted) throw new CerebroError('unavailable', 'the lead was not had in time');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    this.#shared.holder = this;
    const { epoch } = await this.#shared.memory.lead(holder, signal);
    const fence = { over: false };
    this.#fence = fence;
    return {
      epoch,
      remainingMs: () => (fence.over ? 0 : this.remainingMs),
      release: async () => this.takeAway(),
    };
  }

  #there(): MemoryStore {
    if (this.away) throw new CerebroError('unavailable', 'the store does not answer');
    return this.#shared.memory;
  }
}
