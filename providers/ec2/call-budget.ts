import type { Clock } from '../../core/contracts/clock.ts';
import { pause } from './pause.ts';

/** As many as in this many seconds may come at once. */
const BURST_S = 4;
/** Calls a second, however often EC2 complains. */
const LOWEST_RATE = 0.5;

/**
 * How often a region may be asked: a bucket that fills up at a rate which halves whenever EC2 says that it is asked too much, and grows
 * back while it does not. (The SDK's own adaptive mode does the like, but who waits in its queue waits on after his deadline.)
 */
export class CallBudget {
  readonly #clock: Clock;
  readonly #fullRate: number;
  #rate: number;
  #tokens: number;
  #filledAt: number;

  /** `rate`: calls a second while EC2 does not complain. */
  constructor(clock: Clock, rate: number) {
    this.#clock = clock;
    this.#fullRate = rate;
    this.#rate = rate;
    this.#tokens = rate * BURST_S;
    this.#filledAt = clock.monotonic();
  }

  /** Resolves when the next call may go out. Throws the signal's reason when that does not come about in time. */
  async take(signal: AbortSignal): Promise<void> {
    this.#fill();
    // A token is taken at once, if need be before it is there: so everybody has a turn, in order.
    this.#tokens -= 1;
    if (this.#tokens >= 0) return;
    await pause(this.#clock, (-this.#tokens / this.#rate) * 1000, signal);
    if (!signal.aborted) return;
    this.#tokens += 1;
    throw signal.reason;
  }

  throttled(): void {
    this.#fill();
    this.#rate = Math.max(LOWEST_RATE, this.#rate / 2);
    this.#tokens = Math.min(this.#tokens, 0);
  }

  answered(): void {
    this.#fill();
    this.#rate = Math.min(this.#fullRate, this.#rate * 1.1);
  }

  #fill(): void {
    const now = this.#clock.monotonic();
    this.#tokens = Math.min(this.#fullRate * BURST_S, this.#tokens + ((now - this.#filledAt) / 1000) * this.#rate);
    this.#filledAt = now;
  }
}
