import type { Clock, Timer } from '../../contracts/clock.ts';

const BEAT_MS = 500;
/** Beats that are this far apart (ms) were not only late. */
const PAUSE_MS = 2500;

/** Notices that this process was frozen (a suspended host, SIGSTOP): it has heard nobody meanwhile, and must not blame them for it. */
export class PauseWatch {
  readonly #clock: Clock;
  #timer: Timer | null = null;
  #lastBeat = 0;
  #awakeSince = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  start(): void {
    this.wake();
    this.#lastBeat = this.#awakeSince;
    this.#beat();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** What was heard before now says nothing. */
  wake(): void {
    this.#awakeSince = this.#clock.now();
  }

  /** Since when this process has run without a pause, as seen at `now` (ms since the epoch). */
  awakeSince(now: number): number {
    if (now - this.#lastBeat > PAUSE_MS) this.#awakeSince = now;
    this.#lastBeat = now;
    return this.#awakeSince;
  }

  #beat(): void {
    this.awakeSince(this.#clock.now());
    this.#timer = this.#clock.timer(BEAT_MS, () => this.#beat());
  }
}
