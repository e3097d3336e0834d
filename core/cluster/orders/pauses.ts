import type { Clock, Timer } from '../../contracts/clock.ts';
import { retryDelayMs } from '../work/retry-delay.ts';

/**
 * What has not failed again for this long, counted from the end of its pause, is not asked for any more, or was done by somebody else.
 * One that takes longer than this to fail again begins with a short pause.
 */
const FORGOTTEN_MS = 3_600_000;

/** What has failed and is not to be tried again at once: longer and longer, until it is forgotten. */
export class Pauses {
  readonly #clock: Clock;
  readonly #onOver: () => void;
  /** Who has failed last stands last. */
  readonly #pauses = new Map<string, { attempts: number; until: number; timer: Timer }>();

  /** `onOver` is called when a pause is over. */
  constructor(clock: Clock, onOver: () => void) {
    this.#clock = clock;
    this.#onOver = onOver;
  }

  holds(key: string): boolean {
    return (this.#pauses.get(key)?.until ?? 0) > this.#clock.now();
  }

  add(key: string): void {
    const before = this.#pauses.get(key);
    const attempts = before?.attempts ?? 0;
    const ms = retryDelayMs(attempts);
    this.forget(key);
    this.#forgetOld();
    const timer = this.#clock.timer(ms, this.#onOver);
    this.#pauses.set(key, { attempts: attempts + 1, until: this.#clock.now() + ms - 1, timer });
  }

  /** How many are known, with those that are over. */
  get size(): number {
    return this.#pauses.size;
  }

  forget(key: string): void {
    this.#pauses.get(key)?.timer.cancel();
    this.#pauses.delete(key);
  }

  /** Copies and machines come and go: whoever is gone never says so. */
  #forgetOld(): void {
    const now = this.#clock.now();
    for (const [key, { until }] of this.#pauses) {
      if (until + FORGOTTEN_MS > now) return;
      this.#pauses.delete(key);
    }
  }

  clear(): void {
    for (const { timer } of this.#pauses.values()) timer.cancel();
    this.#pauses.clear();
  }
}
