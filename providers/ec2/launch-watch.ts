import type { Clock } from '../../core/contracts/clock.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import { messageOf } from '../../core/errors.ts';
import type { Fleet } from './fleet.ts';
import type { LaunchBook } from './launch-book.ts';
import { pause } from './pause.ts';

export interface LaunchWatchDeps {
  clock: Clock;
  logger: Logger;
  book: LaunchBook;
  fleet: Pick<Fleet, 'knows'>;
  pollMs: number;
  /** Asks EC2 for a cluster's machines, and takes each a step further. */
  look(clusterId: string): Promise<unknown>;
}

/** While machines are on their way, looks more often than anybody asks. */
export class LaunchWatch {
  readonly #deps: LaunchWatchDeps;
  #looking: Promise<void> | null = null;

  constructor(deps: LaunchWatchDeps) {
    this.#deps = deps;
  }

  /** Looks until no machine is on its way, or the signal ends it. */
  look(signal: AbortSignal): void {
    if (this.#looking || signal.aborted || this.#deps.book.all().length === 0) return;
    this.#looking = this.#lookOn(signal).finally(() => {
      this.#looking = null;
    });
  }

  /** Waits for the last look, when the signal has ended it. */
  async stop(): Promise<void> {
    await this.#looking;
  }

  async #lookOn(signal: AbortSignal): Promise<void> {
    const { clock, logger, book, pollMs, look } = this.#deps;
    while (!signal.aborted && book.all().length > 0) {
      await pause(clock, pollMs, signal);
      if (signal.aborted) return;
      const clusters = new Set(book.all().map(({ order }) => order.clusterId));
      let isTold = true;
      for (const clusterId of clusters) {
        try {
          await look(clusterId);
        } catch (error) {
          isTold = false;
          logger.debug({ reason: messageOf(error) }, 'EC2 does not answer; it is asked again');
        }
      }
      if (isTold) this.#dropForgotten();
    }
  }

  /** An order that made nothing, and that nobody repeats or ends, is not looked for any more. */
  #dropForgotten(): void {
    const { clock, book, fleet } = this.#deps;
    const now = clock.now();
    for (const { order, hiddenUntil } of book.all()) {
      if (hiddenUntil < now && !fleet.knows(order.machineId)) book.remove(order.machineId);
    }
  }
}
