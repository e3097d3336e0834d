import type { Clock } from '../../contracts/clock.ts';
import { CerebroError } from '../../errors.ts';

interface Waiter {
  revision: number;
  resolve(): void;
  reject(error: Error): void;
}

/** Those who wait until the store has told of a commit. */
export class RevisionWaiters {
  readonly #clock: Clock;
  readonly #waiting = new Set<Waiter>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when `settle` is called with that revision or a later one. Throws `unavailable` when that did not come in time. */
  wait(revision: number, withinMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = this.#clock.timer(withinMs, () => {
        this.#waiting.delete(waiter);
        reject(new CerebroError('unavailable', 'a change was recorded, but the store does not tell of it'));
      });
      const waiter: Waiter = {
        revision,
        resolve: () => {
          late.cancel();
          resolve();
        },
        reject: (error) => {
          late.cancel();
          reject(error);
        },
      };
      this.#waiting.add(waiter);
    });
  }

  /** All up to this revision is known. */
  settle(revision: number): void {
    for (const waiter of this.#waiting) {
      if (waiter.revision > revision) continue;
      this.#waiting.delete(waiter);
      waiter.resolve();
    }
  }

  fail(error: Error): void {
    for (const waiter of this.#waiting) waiter.reject(error);
    this.#waiting.clear();
  }
}
