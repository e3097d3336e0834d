import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import {
  FILE_BYTES,
  HEADER_BYTES,
  headerOf,
  historyFrom,
  offsetOf,
  SLOT_BYTES,
} from '../../decide/vitals/history-ring.ts';
import type { MinuteOfHistory } from '../../decide/vitals/minute-of-history.ts';
import { systemCode } from '../../errors.ts';
import type { History, HistorySpan } from '../../model/history.ts';

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
   * Puts down the points of a minute: each in its slot of the hour, and the average of what is known of it in its slot of the day. A
   * file that is no history of these series, or was cut short, is begun anew. Throws what the system says; ENOENT: its folder is gone.
   */
  add(minute: MinuteOfHistory): void {
    const file = this.#open();
    try {
      this.#prepare(file);
      const offset = offsetOf('hour', minute.first);
      if (!minute.isWhole) {
        const before = Buffer.alloc(minute.bytes.length);
        readSync(file, before, 0, before.length, offset);
        minute.fillFrom(before);
      }
      writeSync(file, minute.bytes, 0, minute.bytes.length, offset);
      writeSync(file, minute.average(this.#series.length), 0, SLOT_BYTES, offsetOf('day', minute.minute));
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

  #bytes(): Buffer | undefined {
    try {
      return readFileSync(this.#path);
    } catch {
      return undefined; // there is none yet, or it cannot be read: either way nothing is known of the past
    }
  }
}
