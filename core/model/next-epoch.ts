/**
 * The epoch of a new lead. Never less than the seconds since 1970, so that a store that was restored from a backup gives no
 * epoch twice: machines refuse one that is older than what they have heard.
 */
export function nextEpoch(before: number, nowMs: number): number {
  return Math.max(before + 1, Math.floor(nowMs / 1000));
}
