import type { Clock, Timer } from '../contracts/clock.ts';

/** setTimeout fires at once for more than this. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The host's own time. */
export class SystemClock implements Clock {
  now(): number {
    return Date.now();
  }

  monotonic(): number {
    return performance.now();
  }

  timer(ms: number, callback: () => void): Timer {
    const handle = setTimeout(callback, Math.min(MAX_TIMER_MS, Math.max(0, ms)));
    return { cancel: () => clearTimeout(handle) };
  }
}
