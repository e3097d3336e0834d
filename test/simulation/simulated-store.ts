import type { Change, CommitResult, Lease, StateStore, Transaction, Watch } from '../../core/contracts/state-store.ts';
import { CerebroError } from '../../core/errors.ts';
import { MemoryStore } from '../fakes/memory-store.ts';
import { FaultyCalls } from './faulty-calls.ts';
import type { SitterProcess } from './sitter-process.ts';
import type { World } from './world.ts';

const TIMEOUT_MS = 4000;

/** The store itself, which outlives every cluster sitter. `onCommit` sees each commit that took effect, at once. */
export class SimulatedStore {
  readonly memory: MemoryStore;
  readonly #world: World;
  readonly #onCommit: (by: SitterProcess, transaction: Transaction) => void;

  constructor(world: World, onCommit: (by: SitterProcess, transaction: Transaction) => void) {
    this.#world = world;
    this.memory = new MemoryStore(() => world.clock.now());
    this.#onCommit = onCommit;
  }

  /** The store as one process sees it: over a network that loses answers, is slow, and is cut when the process ends. */
  seenBy(process: SitterProcess): StateStore {
    return new SeenStore(this.#world, this, process);
  }

  async commit(by: SitterProcess, transaction: Transaction): Promise<CommitResult> {
    // What a lease is for: whoever was succeeded writes no more, however late it notices.
    if (by.epoch !== this.#world.epoch) throw new CerebroError('conflict', `${by.name} does not lead any more`);
    const result = await this.memory.commit(transaction);
    if (result.ok) this.#onCommit(by, transaction);
    return result;
  }
}

class SeenStore implements StateStore {
  readonly #world: World;
  readonly #store: SimulatedStore;
  readonly #process: SitterProcess;
  readonly #calls: FaultyCalls;
  /** Changes arrive in their order. */
  #newsUntil = 0;

  constructor(world: World, store: SimulatedStore, process: SitterProcess) {
    this.#world = world;
    this.#store = store;
    this.#process = process;
    this.#calls = new FaultyCalls(world, process, 'store');
  }

  async start(): Promise<void> {
    await Promise.resolve();
  }

  async stop(): Promise<void> {
    await Promise.resolve();
  }

  get: StateStore['get'] = (key) => this.#call(`get ${key}`, () => this.#store.memory.get(key));

  list: StateStore['list'] = (prefix) => this.#call(`list "${prefix}"`, () => this.#store.memory.list(prefix));

  commit: StateStore['commit'] = (transaction) =>
    this.#call(`commit ${keysOf(transaction)}`, () => this.#store.commit(this.#process, transaction));

  watch: StateStore['watch'] = (prefix, revision, onChanges, onError) => {
    const deliver = (changes: Change[]): void => {
      const due = Math.max(this.#newsUntil, this.#world.clock.now() + 1);
      this.#newsUntil = due;
      this.#world.after(due - this.#world.clock.now(), () => this.#process.deliver(() => onChanges(changes)));
    };
    const watch: Watch = this.#store.memory.watch(prefix, revision, deliver, onError);
    this.#process.onEnd(() => watch.close());
    return watch;
  };

  lead: StateStore['lead'] = (holder, signal) =>
    this.#call('lead', async (): Promise<Lease> => {
      const lease = await this.#store.memory.lead(holder, signal);
      this.#world.epoch = lease.epoch;
      this.#process.epoch = lease.epoch;
      this.#world.tell(`${this.#process.name} leads with epoch ${lease.epoch}`);
      return lease;
    });

  async #call<T>(what: string, act: () => T | Promise<T>): Promise<T> {
    try {
      return await this.#calls.make({ what, timeoutMs: TIMEOUT_MS, act, told: false });
    } catch (error) {
      this.#world.storeTroubledAt = this.#world.clock.now();
      throw error;
    }
  }
}

function keysOf(transaction: Transaction): string {
  const keys = transaction.write.map((operation) => ('put' in operation ? operation.put : operation.delete));
  return keys.filter((key) => !key.startsWith('event/') && !key.startsWith('cursor/')).join(' ') || 'events';
}
