/**
 * Lets one piece of work into each turn of the event loop. A machine that starts hundreds of tasks would otherwise do dozens of
 * starts in one turn, and whoever asks its API waits for all of them. The first of a turn does not wait.
 */
export class Turns {
  #taken = false;
  readonly #waiting: (() => void)[] = [];

  /** Resolves when it is the caller's turn, in the order of calls. */
  next(): Promise<void> {
    if (!this.#taken) {
      this.#taken = true;
      setImmediate(() => this.#pass());
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #pass(): void {
    const next = this.#waiting.shift();
    this.#taken = next !== undefined;
    if (!next) return;
    setImmediate(() => this.#pass());
    next();
  }
}
