/** How a growing log is held to its size: when it is looked at, and how much of its head goes. Sizes are bytes. */

/** A growing log is looked at this often at most, and this seldom. Milliseconds. */
const SOONEST_MS = 20;
const LATEST_MS = 1000;
/** What is kept of the largest size when a log is cut: not so little that much is lost at once, not so much that it is cut all the time. */
const KEPT_SHARE = 0.5;

/** How many bytes of the head go, a multiple of `block`; 0: the log is within its size, or nothing whole can be cut. */
export function bytesToCut(size: number, max: number, block: number): number {
  if (size <= max) return 0;
  return Math.floor((size - max * KEPT_SHARE) / block) * block;
}

/**
 * When to look again at a log that grew by so much in the `elapsedMs` since the last look: at half of the time that it would
 * take to reach its size, and at twice the last pause at most, since who was slow may become fast.
 * null: it rests; whoever watches its file will tell when it grows again.
 */
export function nextLookMs(size: number, max: number, grownBytes: number, elapsedMs: number): number | null {
  if (grownBytes <= 0 && elapsedMs >= LATEST_MS) return null;
  const leftMs = grownBytes > 0 && elapsedMs > 0 ? ((max - size) / grownBytes) * elapsedMs : Number.POSITIVE_INFINITY;
  return Math.max(SOONEST_MS, Math.min(LATEST_MS, leftMs / 2, elapsedMs * 2));
}
