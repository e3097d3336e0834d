/** Time, so that a test or a simulation can own it. */
export interface Clock {
  /** Milliseconds since the epoch, for people and records. */
  now(): number;
  /** Monotonic milliseconds, for durations. */
  monotonic(): number;
  /** Calls back once after `ms`; the caller owns the result and cancels it. */
  timer(ms: number, callback: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}
