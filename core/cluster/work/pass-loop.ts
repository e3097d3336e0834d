import type { Clock, Timer } from '../../contracts/clock.ts';

export interface PassLoopDeps {
  clock: Clock;
  /** News that come closer together than this (ms) are looked at together. */
  gatherMs: number;
  /** A pass that threw is made again after this (ms), news or not. */
  retryMs: number;
  /** One look at what is. Resolves to the ms until the next one, should there be no news before. */
  pass(): Promise<number>;
  onFailure(error: unknown): void;
}

/**
 * A level-triggered loop: it never asks what happened, only what is. One pass at a time; what comes in during a pass makes another
 * one, and news that never cease do not put a pass off.
 */
export class PassLoop {
  readonly #deps: PassLoopDeps;
  #timer: Timer | null = null;
  /** When the timer is due (monotonic ms). */
  #dueAt = 0;
  #passing = false;
  #pass: Promise<void> = Promise.resolve();
  #poked = false;
  #stopped = true;

  constructor(deps: PassLoopDeps) {
    this.#deps = deps;
  }

  /** The first pass comes as if there were news. */
  start(): void {
    this.#stopped = false;
    this.poke();
  }

  /** Resolves when the pass that is under way has ended; none follows it. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = null;
    await this.#pass;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** There may be something to do. */
  poke(): void {
    if (this.#stopped) return;
    this.#poked = true;
    const { clock, gatherMs } = this.#deps;
    if (!this.#passing && (this.#timer === null || this.#dueAt > clock.monotonic() + gatherMs)) this.#arm(gatherMs);
  }

  #arm(ms: number): void {
    const { clock } = this.#deps;
    this.#timer?.cancel();
    this.#dueAt = clock.monotonic() + ms;
    this.#timer = clock.timer(ms, () => {
      this.#timer = null;
      this.#pass = this.#run();
    });
  }

  async #run(): Promise<void> {
    const { gatherMs, retryMs, pass, onFailure } = this.#deps;
    this.#passing = true;
    this.#poked = false;
    let ms: number;
    try {
      ms = await pass();
      if (this.#poked) ms = gatherMs;
    } catch (error) {
      onFailure(error);
      ms = retryMs;
    }
    this.#passing = false;
    if (!this.#stopped) this.#arm(ms);
  }
}
