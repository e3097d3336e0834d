import type { Clock, Timer } from '../../core/contracts/clock.ts';

/** A clock that runs so many times as fast as the world's, for what waits for minutes. */
export class QuickClock implements Clock {
  readonly #factor: number;

  constructor(factor: number) {
    this.#factor = factor;
  }

  now(): number {
    return Date.now();
  }

  monotonic(): number {
    return performance.now() * this.#factor;
  }

  timer(ms: number, callback: () => void): Timer {
    const timer = setTimeout(callback, ms / this.#factor);
    return { cancel: () => clearTimeout(timer) };
  }
}
