import type { Clock } from '../../contracts/clock.ts';

/** What somebody has going on beside what he does, and waits for before he is done himself. */
export class OwnedWork {
  readonly #clock: Clock;
  readonly #onFailure: (error: unknown) => void;
  readonly #work = new Set<Promise<void>>();

  /** `onFailure`: work that nobody waits for has failed. */
  constructor(clock: Clock, onFailure: (error: unknown) => void) {
    this.#clock = clock;
    this.#onFailure = onFailure;
  }

  add(work: Promise<unknown>): void {
    const over = work
      .then(() => undefined, this.#onFailure)
      .finally(() => {
        this.#work.delete(over);
      });
    this.#work.add(over);
  }

  /** Begins it in so many milliseconds; `done` waits for it from now on. */
  later(ms: number, work: () => Promise<void>): void {
    this.add(new Promise<void>((resolve) => this.#clock.timer(ms, resolve)).then(work));
  }

  /** Resolves when all of it is over, well or not. */
  async done(): Promise<void> {
    await Promise.all(this.#work);
  }
}
