/** How a growing log is held to its size: when it is looked at, how much of its head goes, and how. Sizes are bytes. */

import type { LogMethod } from '../../model/task.ts';

/** A growing log is looked at this often at most, and this seldom. Milliseconds. */
const SOONEST_MS = 20;
const LATEST_MS = 1000;
/** What is kept of the largest size when a log is cut: not so little that much is lost at once, not so much that it is cut all the time. */
const KEPT_SHARE = 0.5;
/** A log that would be full again this soon grows fast. Milliseconds. */
const FAST_MS = 10_000;
/** With so many times its largest size as a hole at its head, a file is collapsed all the same: file systems know a largest file. */
const LARGEST_HOLE = 64;

/** A log as it is found. `holeBytes`: what was taken off its head and lies in the file still, without room on the disk. */
export interface GrowingLog {
  method: LogMethod;
  size: number;
  max: number;
  holeBytes: number;
  grownBytes: number;
  elapsedMs: number;
}

/** `bytes` of 0 for `collapse`: nothing but the hole goes. */
export interface LogCut {
  method: LogMethod;
  bytes: number;
}

/**
 * What is taken off the head of a log, and how; null: nothing. For a collapse the kernel gets all that stays onto the disk while whoever writes
 * has to wait (a quarter of a second for 32 MB, measured on ext4); a hole holds up nobody. So a log that grows fast gets holes, and they
 * are closed when it has calmed down.
 */
export function nextCut(log: GrowingLog, block: number): LogCut | null {
  const bytes = bytesToCut(log.size, log.max, block);
  const tooLarge = log.holeBytes > log.max * LARGEST_HOLE;
  if (log.method === 'collapse' && (tooLarge || !isFast(log))) {
    // A hole is closed after a whole second of calm: who writes fast pauses, too.
    const closes = log.holeBytes >= block && (tooLarge || log.elapsedMs >= LATEST_MS);
    return bytes > 0 || closes ? { method: 'collapse', bytes } : null;
  }
  if (bytes === 0 || log.method === 'none') return null;
  return { method: log.method === 'collapse' ? 'punch' : log.method, bytes };
}

function isFast({ max, grownBytes, elapsedMs }: GrowingLog): boolean {
  return grownBytes * FAST_MS > max * elapsedMs;
}

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
