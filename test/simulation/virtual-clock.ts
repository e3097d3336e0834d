import type { Clock, Timer } from '../../core/contracts/clock.ts';

interface Alarm {
  at: number;
  order: number;
  /** null: cancelled. */
  callback: (() => void) | null;
}

/**
 * Time that moves only when everybody has said what they want to wait for: all promises that can go on do so before the next alarm
 * rings. So a life of minutes takes milliseconds, and takes the same course each time.
 */
export class VirtualClock implements Clock {
  #now: number;
  #order = 0;
  /** A heap: the earliest alarm first. */
  readonly #heap: Alarm[] = [];

  constructor(now: number) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  timer(ms: number, callback: () => void): Timer {
    // Whole milliseconds, as real clocks have them: records hold what `now` says.
    const alarm: Alarm = { at: this.#now + Math.max(0, Math.ceil(ms)), order: this.#order++, callback };
    this.#push(alarm);
    return {
      cancel: () => {
        alarm.callback = null;
      },
    };
  }

  /** Lets time go by until `time`, or until `enough` says so after an alarm. */
  async runUntil(time: number, enough: () => boolean): Promise<void> {
    await drained();
    for (;;) {
      const next = this.#heap[0];
      if (!next || next.at > time) break;
      this.#pop();
      if (next.callback === null) continue;
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await drained();
      if (enough()) return;
    }
    this.#now = Math.max(this.#now, time);
  }

  #push(alarm: Alarm): void {
    const heap = this.#heap;
    let i = heap.push(alarm) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!earlier(alarm, heap[parent])) break;
      heap[i] = heap[parent] as Alarm;
      i = parent;
    }
    heap[i] = alarm;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && earlier(heap[child + 1] as Alarm, heap[child])) child += 1;
      if (!earlier(heap[child] as Alarm, last)) break;
      heap[i] = heap[child] as Alarm;
      i = child;
    }
    heap[i] = last;
  }
}

function earlier(a: Alarm, b: Alarm | undefined): boolean {
  return b !== undefined && (a.at < b.at || (a.at === b.at && a.order < b.order));
}

/** When every promise that can go on without time going by has done so: the queue of microtasks is empty when an immediate comes. */
function drained(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
