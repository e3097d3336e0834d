import type { Logger } from '../contracts/logger.ts';
import { messageOf } from '../errors.ts';

export interface Startable {
  start(): Promise<void>;
  stop(): Promise<void>;
}

interface Part extends Startable {
  name: string;
}

/** Starts parts in order and stops them in reverse. A failed start stops what was started, the failed part first. */
export class Lifecycle {
  readonly #parts: Part[] = [];
  readonly #logger: Logger;
  #started = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  add(name: string, part: Startable): void {
    this.#parts.push({ name, start: () => part.start(), stop: () => part.stop() });
  }

  async start(): Promise<void> {
    for (const part of this.#parts) {
      this.#started += 1;
      try {
        await part.start();
      } catch (error) {
        this.#logger.error({ part: part.name, err: error }, 'could not be started');
        await this.stop();
        throw error;
      }
    }
  }

  /** Each part gets its chance, whatever became of the one before. */
  async stop(): Promise<void> {
    while (this.#started > 0) {
      this.#started -= 1;
      const part = this.#parts[this.#started];
      try {
        await part?.stop();
      } catch (error) {
        this.#logger.error({ part: part?.name, reason: messageOf(error), err: error }, 'could not be stopped in order');
      }
    }
  }
}
