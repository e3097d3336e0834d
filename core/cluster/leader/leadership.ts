import type { Clock } from '../../contracts/clock.ts';
import type { Logger } from '../../contracts/logger.ts';
import type { Lease, StateStore } from '../../contracts/state-store.ts';
import { CerebroError, messageOf } from '../../errors.ts';

/** A start that has not had the lead for so long, or sees who has it, goes on as a stand-by: it shows what is, and waits. */
const STAND_BY_MS = 5000;
/** How often it is looked whether the lead still holds. */
const LOOK_MS = 250;
const RETRY_MS = 1000;

export interface LeadershipDeps {
  store: Pick<StateStore, 'lead'>;
  /** Who we are, for those who wait. */
  holder: string;
  clock: Clock;
  logger: Logger;
  /** Takes up the work, on records that are read anew. `fresh`: this process has not waited for another that led. */
  begin(fresh: boolean): Promise<void>;
  /** Lets go of the work, also of one that was begun by half; what is under way is given up. */
  end(): Promise<void>;
}

/** What those who act ask before they do. */
export interface Lead {
  /** Whether we lead, this very moment. */
  leads(): boolean;
  /** Throws `unavailable` when the lead does not hold for `leftMs` more. */
  demand(leftMs?: number): void;
}

/**
 * Holds the lead, and has the work done only while it does.
 *
 *     waiting --lead--> beginning --begin--> leading --the lease is over--> ending --end--> waiting
 *
 * Whether the lease holds is asked of the lease each time, so a process that was frozen for longer than it finds out with the first
 * thing that it wants to do, and not when a timer comes to tell it.
 */
export class Leadership implements Lead {
  readonly #deps: LeadershipDeps;
  #stopping = new AbortController();
  #lease: Lease | null = null;
  #standsBy = false;
  #loop: Promise<void> | null = null;

  constructor(deps: LeadershipDeps) {
    this.#deps = deps;
  }

  /** Of the last lead that we had; 0: we never led. */
  get epoch(): number {
    return this.#lease?.epoch ?? 0;
  }

  leads(): boolean {
    return this.#lease !== null && this.#lease.remainingMs() > 0;
  }

  demand(leftMs = 0): void {
    const remaining = this.#lease?.remainingMs() ?? 0;
    if (remaining > leftMs) return;
    throw new CerebroError(
      'unavailable',
      remaining > 0
        ? `the lead is sure for ${(remaining / 1000).toFixed(1)} s only, which is too short for this; it is tried again`
        : 'this cluster sitter does not lead now, so it changes nothing; ask the one that leads, or try again in a moment',
    );
  }

  /** Resolves to true when the work was begun, to false when another has the lead. Throws what kept it from being begun. */
  async start(): Promise<boolean> {
    this.#stopping = new AbortController();
    let onHeld: (by: string) => void = () => undefined;
    const held = new Promise<string>((resolve) => {
      onHeld = resolve;
    });
    const first = this.#take(onHeld);
    // Who waits at most STAND_BY_MS may miss how it ends; the loop does not.
    first.catch(() => undefined);
    const holder = await Promise.race([first, held, this.#pause(STAND_BY_MS)]);
    if (this.#lease !== null) await first;
    else {
      this.#standsBy = true;
      this.#deps.logger.info({ holder }, 'the lead is not to be had yet; this cluster sitter stands by');
    }
    this.#loop = this.#run(first);
    return this.#lease !== null;
  }

  /** Lets go of the work; `release` gives the lead back when all is done. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
    this.#loop = null;
    await this.#deps.end();
  }

  async release(): Promise<void> {
    await this.#lease?.release();
    this.#lease = null;
  }

  async #run(first: Promise<void>): Promise<void> {
    const { logger } = this.#deps;
    const { signal } = this.#stopping;
    let begun = first;
    while (!signal.aborted) {
      try {
        await begun;
        await this.#untilOver(signal);
        if (signal.aborted) return;
        logger.warn({ epoch: this.epoch }, 'this cluster sitter does not lead any more; nothing is changed from here');
      } catch (error) {
        if (signal.aborted) return;
        logger.warn({ reason: messageOf(error) }, 'the lead could not be taken up; it is tried again');
      }
      await this.#deps.end();
      // A lead that could not be taken up is given back: another may be better off.
      if (this.leads()) await this.release();
      this.#standsBy = true;
      await this.#pause(RETRY_MS);
      begun = this.#take();
    }
    await begun.catch(() => undefined); // it was begun for nothing; stop is under way
  }

  async #take(onHeld?: (by: string) => void): Promise<void> {
    const { store, holder, begin, logger } = this.#deps;
    const fresh = !this.#standsBy;
    const lease = await store.lead(holder, this.#stopping.signal, onHeld);
    this.#lease = lease;
    await begin(fresh && !this.#standsBy);
    logger.info({ epoch: lease.epoch }, 'the cluster sitter leads');
  }

  async #untilOver(signal: AbortSignal): Promise<void> {
    while (this.leads() && !signal.aborted) {
      // A lease without an end ends with the process.
      await this.#pause(this.#lease?.remainingMs() === Number.POSITIVE_INFINITY ? null : LOOK_MS);
    }
  }

  /** null: until we stop. */
  #pause(ms: number | null): Promise<void> {
    const { signal } = this.#stopping;
    return new Promise((resolve) => {
      const done = (): void => {
        timer?.cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = ms === null ? null : this.#deps.clock.timer(ms, done);
      if (signal.aborted) done();
      else signal.addEventListener('abort', done, { once: true });
    });
  }
}
