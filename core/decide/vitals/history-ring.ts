import { HISTORY_SPANS, type History, type HistorySpan } from '../../model/history.ts';

/** The bytes at the head of a file of history, before its slots. */
export const HEADER_BYTES = 64;
const MAGIC = 'cerebro-history-1';

/** Values that a slot has room for: a set of series may grow by some before the files are begun anew. */
const SLOT_VALUES = 12;
/** Its number, then a 32-bit float for each value. */
export const SLOT_BYTES = 4 + SLOT_VALUES * 4;

/**
 * A file of history is a head and two rings of slots, one for each span. The place of a slot follows from its time, so a point
 * is one write in place, nothing has to be remembered between two, and a slot that was torn or is of an earlier round is known
 * by its number.
 *
 *   head | hour: 720 slots of 5 s | day: 1440 slots of 60 s
 */
export const FILE_BYTES = HEADER_BYTES + (HISTORY_SPANS.hour.points + HISTORY_SPANS.day.points) * SLOT_BYTES;

const HEADERS = new WeakMap<readonly string[], Buffer>();

/** The head of a file for these series; a file with another one is begun anew. */
export function headerOf(series: readonly string[]): Buffer {
  const known = HEADERS.get(series);
  if (known) return known;
  const head = Buffer.alloc(HEADER_BYTES);
  // The names themselves may be longer than the head: their sum tells them apart well enough.
  let sum = 7;
  for (const letter of series.join(',')) sum = (Math.imul(sum, 31) + letter.charCodeAt(0)) >>> 0;
  head.write(`${MAGIC} ${series.length} ${sum}`, 'latin1');
  HEADERS.set(series, head);
  return head;
}

/** The number of the slot that a time falls into. */
export function slotAt(span: HistorySpan, atMs: number): number {
  return Math.floor(atMs / (HISTORY_SPANS[span].stepSeconds * 1000));
}

/** Where in the file a slot is. */
export function offsetOf(span: HistorySpan, slot: number): number {
  const { points } = HISTORY_SPANS[span];
  const before = span === 'hour' ? 0 : HISTORY_SPANS.hour.points;
  return HEADER_BYTES + (before + (slot % points)) * SLOT_BYTES;
}

export type Values = readonly (number | null)[];

export function encodeSlot(slot: number, values: Values): Buffer {
  const bytes = Buffer.alloc(SLOT_BYTES);
  putSlot(bytes, 0, slot, values);
  return bytes;
}

/** Writes a slot into `bytes` from `offset` on. */
export function putSlot(bytes: Buffer, offset: number, slot: number, values: Values): void {
  bytes.writeUInt32LE(slot % 2 ** 32, offset);
  for (let i = 0; i < SLOT_VALUES; i++) bytes.writeFloatLE(values[i] ?? Number.NaN, offset + 4 + i * 4);
}

/** undefined: this slot was never written, or holds another time. */
export function decodeSlot(bytes: Buffer, slot: number, count: number): (number | null)[] | undefined {
  if (bytes.length < SLOT_BYTES || bytes.readUInt32LE(0) !== slot % 2 ** 32) return undefined;
  return Array.from({ length: count }, (_, i) => {
    const value = bytes.readFloatLE(4 + i * 4);
    return Number.isFinite(value) ? value : null;
  });
}

/** The slots of the short span that one slot of the long one is the average of. */
export function slotsOfMinute(minute: number): number[] {
  const each = HISTORY_SPANS.day.stepSeconds / HISTORY_SPANS.hour.stepSeconds;
  return Array.from({ length: each }, (_, i) => minute * each + i);
}

export function averageOf(points: readonly Values[], count: number): (number | null)[] {
  return Array.from({ length: count }, (_, i) => {
    const known = points.flatMap((values) => values[i] ?? []);
    return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
  });
}

/** A file's bytes as what is asked for. `undefined` (there is none, or not of these series) is a history of nothing. */
export function historyFrom(
  bytes: Buffer | undefined,
  asked: { of: string; span: HistorySpan; series: readonly string[]; nowMs: number },
): History {
  const { of, span, series, nowMs } = asked;
  const { points, stepSeconds } = HISTORY_SPANS[span];
  const last = slotAt(span, nowMs);
  const first = last - points + 1;
  const known = bytes?.subarray(0, HEADER_BYTES).equals(headerOf(series)) ? bytes : undefined;
  const columns: (number | null)[][] = series.map(() => []);
  for (let slot = first; slot <= last; slot++) {
    const offset = offsetOf(span, slot);
    const values = known && decodeSlot(known.subarray(offset, offset + SLOT_BYTES), slot, series.length);
    for (const [i, column] of columns.entries()) column.push(significant(values?.[i] ?? null));
  }
  return {
    of,
    span,
    from: new Date(first * stepSeconds * 1000).toISOString(),
    stepSeconds,
    series: Object.fromEntries(series.map((name, i) => [name, columns[i] ?? []])),
  };
}

/** A 32-bit float has seven digits; six of them say all that a chart or a person needs. */
function significant(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(6));
}
