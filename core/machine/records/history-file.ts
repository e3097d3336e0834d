import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import {
  averageOf,
  decodeSlot,
  encodeSlot,
  FILE_BYTES,
  HEADER_BYTES,
  headerOf,
  historyFrom,
  offsetOf,
  SLOT_BYTES,
  slotAt,
  slotsOfMinute,
  type Values,
} from '../../decide/vitals/history-ring.ts';
import { systemCode } from '../../errors.ts';
import type { History, HistorySpan } from '../../model/history.ts';

export interface HistoryPoint {
  /** Milliseconds since the epoch. */
  atMs: number;
  values: Values;
}

/**
 * The past of a machine or a task in one file of a fixed size (decide/vitals/history-ring.ts says how it is laid out). Nothing of it is
 * kept in memory and nothing is open between two points, so a thousand tasks cost no descriptors, and a crash costs no history.
 */
export class HistoryFile {
  readonly #path: string;
  readonly #series: readonly string[];
  readonly #header: Buffer;

  constructor(path: string, series: readonly string[]) {
    this.#path = path;
    this.#series = series;
    this.#header = headerOf(series);
  }

  /**
   * Puts down points, oldest first: each in its slot of the hour, and each minute of the day as the average of what is known of it. A
   * file that is no history of these series, or was cut short, is begun anew. Throws what the system says; ENOENT: its folder is gone.
   */
  add(...points: readonly HistoryPoint[]): void {
    const file = this.#open();
    try {
      this.#prepare(file);
      const minuteOf = ({ atMs }: HistoryPoint): number => slotAt('day', atMs);
      for (const minute of new Set(points.map(minuteOf)))
        this.#addToMinute(
          file,
          minute,
          points.filter((point) => minuteOf(point) === minute),
        );
    } finally {
      closeSync(file);
    }
  }

  history(of: string, span: HistorySpan, nowMs: number): History {
    return historyFrom(this.#bytes(), { of, span, series: this.#series, nowMs });
  }

  #open(): number {
    try {
      return openSync(this.#path, 'r+');
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
      return openSync(this.#path, 'w+', 0o640);
    }
  }

  #prepare(file: number): void {
    const head = Buffer.alloc(HEADER_BYTES);
    readSync(file, head, 0, HEADER_BYTES, 0);
    const ours = head.equals(this.#header);
    if (ours && fstatSync(file).size === FILE_BYTES) return;
    if (!ours) ftruncateSync(file, 0);
    writeSync(file, this.#header, 0, HEADER_BYTES, 0);
    // What was cut off reads as never written; a file that somebody made larger is cut to its size.
    ftruncateSync(file, FILE_BYTES);
  }

  /** The points of a minute lie side by side, so they are one read and one write: a round of the hour is a whole number of minutes. */
  #addToMinute(file: number, minute: number, points: readonly HistoryPoint[]): void {
    const slots = slotsOfMinute(minute);
    const [first = 0] = slots;
    const bytes = Buffer.alloc(slots.length * SLOT_BYTES);
    readSync(file, bytes, 0, bytes.length, offsetOf('hour', first));
    for (const { atMs, values } of points) {
      const slot = slotAt('hour', atMs);
      encodeSlot(slot, values).copy(bytes, (slot - first) * SLOT_BYTES);
    }
    writeSync(file, bytes, 0, bytes.length, offsetOf('hour', first));
    const known = slots.flatMap((slot, i) => {
      const values = decodeSlot(bytes.subarray(i * SLOT_BYTES, (i + 1) * SLOT_BYTES), slot, this.#series.length);
      return values ? [values] : [];
    });
    const average = averageOf(known, this.#series.length);
    writeSync(file, encodeSlot(minute, average), 0, SLOT_BYTES, offsetOf('day', minute));
  }

  #bytes(): Buffer | undefined {
    try {
      return readFileSync(this.#path);
    } catch {
      return undefined; // there is none yet, or it cannot be read: either way nothing is known of the past
    }
  }
}
