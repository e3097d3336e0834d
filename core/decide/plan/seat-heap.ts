import type { Seat } from './working-state.ts';

export interface Candidate {
  seat: Seat;
  /** What a better place has less of: copies of the same job where they are to spread, then room that is left. */
  same: number;
  left: number;
  /** The older machine of two that are equal. */
  order: number;
}

/** Places for copies of one kind, the best one first: a binary heap. */
export class SeatHeap {
  readonly #heap: Candidate[];

  constructor(candidates: Candidate[]) {
    this.#heap = candidates;
    for (let i = (candidates.length >> 1) - 1; i >= 0; i--) this.#sink(i);
  }

  get best(): Candidate | undefined {
    return this.#heap[0];
  }

  /** The best one has changed. */
  settle(): void {
    this.#sink(0);
  }

  /** The best one is none any more. */
  drop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink(0);
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const moved = heap[from];
    if (moved === undefined) return;
    let i = from;
    for (;;) {
      let next = 2 * i + 1;
      let child = heap[next];
      if (child === undefined) break;
      const right = heap[next + 1];
      if (right !== undefined && isBetter(right, child)) {
        child = right;
        next += 1;
      }
      if (!isBetter(child, moved)) break;
      heap[i] = child;
      i = next;
    }
    heap[i] = moved;
  }
}

function isBetter(a: Candidate, b: Candidate): boolean {
  return a.same < b.same || (a.same === b.same && (a.left < b.left || (a.left === b.left && a.order < b.order)));
}
