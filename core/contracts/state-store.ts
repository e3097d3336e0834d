/** A JSON document with the revision of the commit that last wrote it. */
export interface Entry {
  key: string;
  value: unknown;
  revision: number;
}

/** Holds when the key was last written by commit `revision`; 0: when the key does not exist. */
export interface Condition {
  key: string;
  revision: number;
}

export type Operation = { put: string; value: unknown } | { delete: string };

export interface Transaction {
  when?: readonly Condition[];
  write: readonly Operation[];
}

export type CommitResult = { ok: true; revision: number } | { ok: false; failed: string[] };

export interface Change {
  key: string;
  /** null: deleted. */
  value: unknown;
  revision: number;
}

export interface Watch {
  close(): void;
}

/** The right to lead, for as long as it holds. */
export interface Lease {
  /**
   * Grows with every lease ever given by this store, and is never less than the seconds since 1970 (`model/next-epoch.ts`);
   * commands carry it, and machines refuse an older one.
   */
  readonly epoch: number;
  /** Milliseconds for which it certainly still holds. 0 is for ever: who slept through the end asks for a new one. */
  remainingMs(): number;
  release(): Promise<void>;
}

/**
 * A small versioned key-value store. Every implementation passes `test/suites/state-store-suite.ts`.
 *
 * - `commit` is atomic and durable when its promise resolves; revisions are one sequence over the whole store.
 * - A failed condition changes nothing and names the keys that failed.
 * - An error (`no_space`, `unavailable`) changes nothing either; what was acknowledged before stays.
 * - Who has been given the lead by this very store and has lost it is refused (`conflict`): its successor may have begun.
 * - `watch` delivers the changes after `revision`, each once, in order, commit by commit.
 */
export interface StateStore {
  /** Whether several cluster sitters may use it at the same time: then all take the same callers, and who stands by passes orders on. */
  readonly shared?: boolean;
  start(): Promise<void>;
  stop(): Promise<void>;
  get(key: string): Promise<Entry | undefined>;
  /** All entries whose key begins with `prefix`, by key, and the store's revision at that moment. */
  list(prefix: string): Promise<{ entries: Entry[]; revision: number }>;
  commit(transaction: Transaction): Promise<CommitResult>;
  /** Throws `conflict` through `onError` when `revision` is older than what the store still remembers: list again. */
  watch(
    prefix: string,
    revision: number,
    onChanges: (changes: Change[]) => void,
    onError: (error: Error) => void,
  ): Watch;
  /**
   * Waits until it may lead, or throws `unavailable` when `signal` aborts. `onHeld` is told who has the lead, each time that this is
   * seen, by a store that knows.
   */
  lead(holder: string, signal: AbortSignal, onHeld?: (by: string) => void): Promise<Lease>;
}
