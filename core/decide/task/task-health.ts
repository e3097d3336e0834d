import type { HealthCheck, HealthState } from '../../model/health-check.ts';

/** What is known of a run's health from the answers to its check. */
export interface Health {
  state: HealthState;
  /** Bad answers in a row that count. */
  failures: number;
  sentence: string;
}

export interface HealthAnswer {
  well: boolean;
  /** "answered 503", "no answer within 2 s". */
  sentence: string;
}

export const NOT_ASKED_YET: Health = { state: 'starting', failures: 0, sentence: 'not asked yet' };

/** While a run is starting it is asked more often than later, so that it is known to be ready soon. Seconds. */
const STARTING_INTERVAL = 1;

/**
 * What an answer makes of a run's health. A run that has been well once, or whose start_period is over (`livedMs` is how
 * long it has run), becomes unhealthy with the given number of bad answers in a row; a good answer sets that back.
 */
export function stepHealth(health: Health, answer: HealthAnswer, check: HealthCheck, livedMs: number): Health {
  if (answer.well) return { state: 'healthy', failures: 0, sentence: answer.sentence };
  const mayTakeItsTime = health.state === 'starting' && livedMs < check.start_period * 1000;
  if (mayTakeItsTime) return { ...health, sentence: `${answer.sentence}; it has ${check.start_period} s to start` };
  const failures = health.failures + 1;
  const count = `${answer.sentence} (${failures} of ${check.failures} failures)`;
  return failures < check.failures
    ? { ...health, failures, sentence: count }
    : { state: 'unhealthy', failures, sentence: `health: ${count}` };
}

/** Seconds until the check is made again. */
export function pauseBeforeCheck(health: Health, check: HealthCheck): number {
  return health.state === 'starting' ? Math.min(check.interval, STARTING_INTERVAL) : check.interval;
}
