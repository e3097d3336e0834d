import type { Clock, Timer } from '../../contracts/clock.ts';
import type { MachineProvider } from '../../contracts/machine-provider.ts';

/** How often a provider is asked for its machines, beside what it tells by itself. */
const ASK_MS = 5000;

export interface ProviderWatchDeps {
  provider: Pick<MachineProvider, 'onChange'>;
  clock: Clock;
  /** Asks the provider once and takes up what it says. Never rejects. */
  look(): Promise<void>;
}

/**
 * Asks one provider again and again, never twice at once: when it says that something changed, and a while after its last answer.
 * Each provider has its own, so that a slow one holds up nobody but itself.
 */
export class ProviderWatch {
  readonly #deps: ProviderWatchDeps;
  #timer: Timer | null = null;
  #looking: Promise<void> | null = null;
  /** Something changed while it was being asked: the answer may be from before that. */
  #again = false;
  #stopped = false;

  constructor(deps: ProviderWatchDeps) {
    this.#deps = deps;
  }

  /** Resolves when the first answer was taken up, and after `patienceMs` at the latest. */
  async start(patienceMs: number): Promise<void> {
    this.#deps.provider.onChange(() => void this.#ask());
    await this.askNow(patienceMs);
  }

  /** Asks at once, whatever is due. Resolves as `start` does. */
  async askNow(patienceMs: number): Promise<void> {
    await this.#atMost(patienceMs, this.#ask());
  }

  /** Asks no more. Waits for an answer that is on its way, but no longer than `patienceMs`. */
  async stop(patienceMs: number): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    if (this.#looking) await this.#atMost(patienceMs, this.#looking);
  }

  #ask(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    this.#again = this.#looking !== null;
    this.#looking ??= this.#look();
    return this.#looking;
  }

  async #look(): Promise<void> {
    this.#timer?.cancel();
    do {
      this.#again = false;
      await this.#deps.look();
    } while (this.#again && !this.#stopped);
    this.#looking = null;
    if (!this.#stopped) this.#timer = this.#deps.clock.timer(ASK_MS, () => void this.#ask());
  }

  async #atMost(ms: number, work: Promise<void>): Promise<void> {
    let timer: Timer | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = this.#deps.clock.timer(ms, resolve);
    });
    await Promise.race([work, patience]);
    timer?.cancel();
  }
}
