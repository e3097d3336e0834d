/** Over so many seconds the use of cpu is averaged before it counts as more than its limit: bursts are no violation. */
export const CPU_WINDOW_S = 5;
/** Clocks and ticks are not exact to the last percent. */
const TOLERANCE = 1.02;

interface Sample {
  atMs: number;
  cpuSeconds: number;
}

/** The cores that a run used on average over the last seconds, from samples of its CPU time. */
export class CpuWindow {
  #samples: Sample[] = [];

  /** `atMs` is monotonic, `cpuSeconds` what the run has used in all. */
  add(atMs: number, cpuSeconds: number): void {
    this.#samples.push({ atMs, cpuSeconds });
    // One sample at or before the window's beginning is kept: the average is taken from there.
    const from = atMs - CPU_WINDOW_S * 1000;
    while ((this.#samples[1]?.atMs ?? Number.POSITIVE_INFINITY) <= from) this.#samples.shift();
  }

  /** Cores on average; null until a whole window has passed. */
  average(): number | null {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last || last.atMs - first.atMs < CPU_WINDOW_S * 1000) return null;
    return ((last.cpuSeconds - first.cpuSeconds) * 1000) / (last.atMs - first.atMs);
  }

  isOver(limit: number): boolean {
    const average = this.average();
    return average !== null && average > limit * TOLERANCE;
  }
}
