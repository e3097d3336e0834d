const FIRST_MS = 1000;
const MAX_MS = 60_000;

/** How long something of DNS is left alone that has failed so often before. */
export function dnsPauseMs(failures: number): number {
  return Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(failures, 10));
}
