export interface ByteRange {
  first: number;
  /** The byte after the last. */
  end: number;
}

/**
 * What a `Range` header asks of a log whose bytes `start` to `end` are kept: offsets are those of the run, whatever was cut off
 * its head. null: no range of bytes that we know, so that all is sent; 'outside': nothing of it is kept.
 */
export function rangeOf(header: string, start: number, end: number): ByteRange | 'outside' | null {
  const found = /^bytes=(\d{1,15})?-(\d{1,15})?$/.exec(header.trim());
  if (!found || (found[1] === undefined && found[2] === undefined)) return null;
  const [, first, last] = found;
  if (first === undefined) {
    const count = Number(last);
    return count === 0 || end === start ? 'outside' : { first: Math.max(start, end - count), end };
  }
  const range = { first: Number(first), end: last === undefined ? end : Math.min(end, Number(last) + 1) };
  if (last !== undefined && Number(last) < range.first) return null;
  return range.first >= end || range.first < start ? 'outside' : range;
}
