import type { WorkCounts } from '../../model/work-counts.ts';

type Outcome = 'done' | 'failed';

/** Counts what the loop does, for the metrics. */
export class WorkCounter {
  readonly #passes = { done: 0, failed: 0 };
  readonly #effects = new Map<string, { done: number; failed: number }>();

  pass(outcome: Outcome): void {
    this.#passes[outcome] += 1;
  }

  effect(kind: string, outcome: Outcome): void {
    const counts = this.#effects.get(kind) ?? { done: 0, failed: 0 };
    counts[outcome] += 1;
    this.#effects.set(kind, counts);
  }

  counts(): Omit<WorkCounts, 'events'> {
    return { passes: { ...this.#passes }, effects: new Map(this.#effects) };
  }
}
