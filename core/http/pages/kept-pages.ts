/** So many are kept at once; beyond that all are made anew. Dashboards that are open look at fewer within `keepMs`. */
const MOST = 200;

/**
 * Pages that were just made, for the next who asks for the same. Fifty open dashboards that are told of one change would otherwise
 * have one page made fifty times. What a page shows may be `keepMs` old in its figures, and never older than the last event.
 */
export class KeptPages<Made> {
  readonly #keepMs: number;
  readonly #kept = new Map<string, { at: number; made: Promise<Made> }>();

  /** `keepMs` 0: each page is made anew. */
  constructor(keepMs: number) {
    this.#keepMs = keepMs;
  }

  /** So many are in memory. */
  get size(): number {
    return this.#kept.size;
  }

  /** Something happened: nothing that was made before may be shown. */
  forget(): void {
    this.#kept.clear();
  }

  /** `make` may be under way for somebody else already. What it throws is thrown to all who wait, and not kept. */
  async page(key: string, make: () => Promise<Made>): Promise<Made> {
    if (this.#keepMs === 0) return make();
    const found = this.#kept.get(key);
    if (found && performance.now() - found.at < this.#keepMs) return found.made;
    this.#forgetOld();
    if (this.#kept.size >= MOST) this.#kept.clear();
    this.#kept.delete(key);
    const entry = { at: performance.now(), made: make() };
    this.#kept.set(key, entry);
    try {
      return await entry.made;
    } catch (error) {
      if (this.#kept.get(key) === entry) this.#kept.delete(key);
      throw error;
    }
  }

  /** The oldest stand first: a page that is made anew is put behind them. */
  #forgetOld(): void {
    const before = performance.now() - this.#keepMs;
    for (const [key, { at }] of this.#kept) {
      if (at > before) return;
      this.#kept.delete(key);
    }
  }
}
