import type { Clock, Timer } from '../../contracts/clock.ts';
import { CerebroError } from '../../errors.ts';

/** Waits for an answer, at most `ms`. Throws `unavailable` then; what comes later is dropped. */
export async function withDeadline<T>(clock: Clock, ms: number, what: string, call: () => Promise<T>): Promise<T> {
  let timer: Timer | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = clock.timer(ms, () => reject(new CerebroError('unavailable', `${what} within ${ms / 1000} s`)));
  });
  try {
    return await Promise.race([call(), late]);
  } finally {
    timer?.cancel();
  }
}
