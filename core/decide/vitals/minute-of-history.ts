import {
  averageOf,
  decodeSlot,
  encodeSlot,
  putSlot,
  SLOT_BYTES,
  slotAt,
  slotsOfMinute,
  type Values,
} from './history-ring.ts';

/**
 * The points of one minute as they lie in a file of history: side by side, for a round of the hour is a whole number of minutes. Kept as
 * bytes, which cost a machine of many tasks less than as many arrays of numbers that live for a minute.
 */
export class MinuteOfHistory {
  readonly minute: number;
  readonly bytes: Buffer;
  readonly #slots: readonly number[];
  readonly #known = new Set<number>();

  /** Of the minute that a time (ms since the epoch) is in. */
  constructor(atMs: number) {
    this.minute = slotAt('day', atMs);
    this.#slots = slotsOfMinute(this.minute);
    this.bytes = Buffer.alloc(this.#slots.length * SLOT_BYTES);
  }

  /** The number of its first slot of the hour. */
  get first(): number {
    return this.#slots[0] ?? 0;
  }

  /** Whether every point of the minute is known: then nothing that was written before is needed. */
  get isWhole(): boolean {
    return this.#known.size === this.#slots.length;
  }

  /** Whether no later point of this minute can come. */
  get isOver(): boolean {
    return this.#known.has(this.#slots.length - 1);
  }

  /** false: it is of another minute. */
  put(atMs: number, values: Values): boolean {
    const slot = slotAt('hour', atMs);
    const at = slot - this.first;
    if (at < 0 || at >= this.#slots.length) return false;
    putSlot(this.bytes, at * SLOT_BYTES, slot, values);
    this.#known.add(at);
    return true;
  }

  /** Takes what it does not know from what was written before. */
  fillFrom(before: Buffer): void {
    for (const at of this.#slots.keys())
      if (!this.#known.has(at)) before.copy(this.bytes, at * SLOT_BYTES, at * SLOT_BYTES, (at + 1) * SLOT_BYTES);
  }

  /** The minute's own slot of the day: the average of `count` values over the points that there are. */
  average(count: number): Buffer {
    const known = this.#slots.flatMap((slot, at) => {
      const values = decodeSlot(this.bytes.subarray(at * SLOT_BYTES, (at + 1) * SLOT_BYTES), slot, count);
      return values ? [values] : [];
    });
    return encodeSlot(this.minute, averageOf(known, count));
  }
}
