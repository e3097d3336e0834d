/** Changes that a store remembers for watchers that come late. */
const REMEMBERED_COMMITS = 10_000;

interface HistoryChange {
  key: string;
  value: unknown;
  revision: number;
}

interface Watcher {
  prefix: string;
  onChanges(changes: HistoryChange[]): void;
}

/** What a store needs to let others watch it: the latest commits, and who wants to hear of the next. */
export class ChangeHistory {
  readonly #commits: { revision: number; changes: HistoryChange[] }[] = [];
  readonly #watchers = new Set<Watcher>();
  /** The revision before the oldest commit that is remembered. */
  #floor: number;

  constructor(revision: number) {
    this.#floor = revision;
  }

  add(revision: number, changes: HistoryChange[]): void {
    this.#commits.push({ revision, changes });
    if (this.#commits.length > REMEMBERED_COMMITS) this.#floor = this.#commits.shift()?.revision ?? this.#floor;
    for (const watcher of this.#watchers) deliver(watcher, changes);
  }

  /** false: what came after `revision` is no longer known as a whole. */
  reaches(revision: number): boolean {
    return revision >= this.#floor;
  }

  /** Delivers all since `revision`, and what comes; returns how to stop. */
  watch(prefix: string, revision: number, onChanges: Watcher['onChanges']): () => void {
    const watcher: Watcher = { prefix, onChanges };
    for (const commit of this.#commits) if (commit.revision > revision) deliver(watcher, commit.changes);
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}

function deliver(watcher: Watcher, changes: readonly HistoryChange[]): void {
  const matching = changes.filter((change) => change.key.startsWith(watcher.prefix));
  if (matching.length > 0) watcher.onChanges(matching);
}
