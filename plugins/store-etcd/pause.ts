import type { Clock } from '../../core/contracts/clock.ts';

/** Waits, or until `signal` aborts. Nothing of it stays behind then: the signal may live through very many of these. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.timer(ms, done);
    if (signal.aborted) done();
    else signal.addEventListener('abort', done);
  });
}
