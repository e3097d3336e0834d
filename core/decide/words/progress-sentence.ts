import type { Failure, Progress } from '../../model/progress.ts';

/** Progress in words: what is done now, or else why the last try failed. null: there is nothing to tell. */
export function progressSentence({ step, percent, failure }: Progress): string | null {
  const failed = failure && failureSentence(failure);
  if (step === null) return failed;
  const now = percent === null ? step : `${step}: ${percent} %`;
  return failed === null ? now : `${now} (before: ${failed})`;
}

/** `nothing listens there, 4th try at 12:01:07 UTC` */
function failureSentence({ sentence, attempts, at }: Failure): string {
  return `${sentence}, ${ordinal(attempts)} try at ${clockTime(at)}`;
}

const DAY_MS = 86_400_000;

/** Of ms since the epoch; with the zone, since who reads it may be in another one, and with the date where it is not within a day of `now`. */
export function clockTime(time: number, now = time): string {
  const text = new Date(time).toISOString();
  return `${Math.abs(time - now) < DAY_MS ? '' : `${text.slice(0, 10)} `}${text.slice(11, 19)} UTC`;
}

/** Why what a record asks for failed last, and when it is tried again. */
export function retrySentence(lastError: string, record: { attempts: number; nextAttemptAt: number }): string {
  return `${lastError}, ${ordinal(record.attempts)} try, the next at ${clockTime(record.nextAttemptAt)}`;
}

function ordinal(count: number): string {
  const teen = count % 100 >= 11 && count % 100 <= 13;
  return `${count}${(!teen && ['th', 'st', 'nd', 'rd'][count % 10]) || 'th'}`;
}
