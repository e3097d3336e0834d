import type { Clock, Timer } from '../../contracts/clock.ts';
import { retryDelayMs } from '../work/retry-delay.ts';

/** What has failed and is not to be tried again at once: longer and longer, until it is forgotten. */
export class Pauses {
  readonly #clock: Clock;
  readonly #onOver: () => void;
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
    before?.timer.cancel();
    const timer = this.#clock.timer(ms, this.#onOver);
    this.#pauses.set(key, { attempts: attempts + 1, until: this.#clock.now() + ms - 1, timer });
  }

  forget(key: string): void {
    this.#pauses.get(key)?.timer.cancel();
    this.#pauses.delete(key);
  }

  clear(): void {
    for (const { timer } of this.#pauses.values()) timer.cancel();
    this.#pauses.clear();
  }
}
