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
} from '../decide/history-ring.ts';
import { systemCode } from '../errors.ts';
import type { History, HistorySpan } from '../model/history.ts';

/**
 * The past of a machine or a task in one file of a fixed size (decide/history-ring.ts says how it is laid out). Nothing of it is
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
   * Puts down a point: its slot of the hour, and the minute of the day as the average of what is known of it. A file that is no
   * history of these series, or was cut short, is begun anew. Throws what the system says; ENOENT: its folder is gone.
   */
  add(atMs: number, values: Values): void {
    const file = this.#open();
    try {
      this.#prepare(file);
      const slot = slotAt('hour', atMs);
      writeSync(file, encodeSlot(slot, values), 0, SLOT_BYTES, offsetOf('hour', slot));
      const minute = slotAt('day', atMs);
      const average = averageOf(this.#pointsOf(file, minute), this.#series.length);
      writeSync(file, encodeSlot(minute, average), 0, SLOT_BYTES, offsetOf('day', minute));
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

  /** The points of a minute lie side by side: a round of the hour is a whole number of minutes. */
  #pointsOf(file: number, minute: number): Values[] {
    const slots = slotsOfMinute(minute);
    const bytes = Buffer.alloc(slots.length * SLOT_BYTES);
    readSync(file, bytes, 0, bytes.length, offsetOf('hour', slots[0] ?? 0));
    return slots.flatMap((slot, i) => {
      const known = decodeSlot(bytes.subarray(i * SLOT_BYTES, (i + 1) * SLOT_BYTES), slot, this.#series.length);
      return known ? [known] : [];
    });
  }

  #bytes(): Buffer | undefined {
    try {
      return readFileSync(this.#path);
    } catch {
      return undefined; // there is none yet, or it cannot be read: either way nothing is known of the past
    }
  }
}
