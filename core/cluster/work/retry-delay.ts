const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 60_000;

/** How long what has failed `attempts` times before waits after the next failure. */
export function retryDelayMs(attempts: number): number {
  return Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** attempts);
}
