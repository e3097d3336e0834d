import type { Clock } from '../../core/contracts/clock.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import type { Instance } from '../../core/contracts/machine-provider.ts';
import { messageOf } from '../../core/errors.ts';
import type { Failure, Progress } from '../../core/model/progress.ts';
import type { NotedOrder } from './launch-book.ts';

const RETRY_FIRST_MS = 2000;
const RETRY_MAX_MS = 60_000;

/** Makes a machine that runs ready for its tasks: puts a machine sitter on it. Bears being done again. */
export type Prepare = (
  order: NotedOrder,
  instance: Instance,
  signal: AbortSignal,
  progress: (step: string, percent: number | null) => void,
) => Promise<void>;

export interface PreparationsDeps {
  clock: Clock;
  logger: Logger;
  prepare: Prepare;
  /** It is ready, or there is a new sentence about it. */
  onChange(machineId: string, ready: boolean): void;
  onProgress(machineId: string, progress: Progress): void;
}

interface Preparation {
  abort: AbortController;
  attempts: number;
  /** Monotonic ms before which it is not tried again; infinite while it is tried. */
  nextAt: number;
  failure: Failure | null;
  done: Promise<void>;
}

/** Prepares the machines that run, each at its own pace, again and again with growing pauses until it works or is no longer wanted. */
export class Preparations {
  readonly #deps: PreparationsDeps;
  readonly #running = new Map<string, Preparation>();
  #stopped = false;

  constructor(deps: PreparationsDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#stopped = false;
  }

  /** Waits for what is under way to notice that it is broken off. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const all = [...this.#running.values()];
    for (const { abort } of all) abort.abort();
    await Promise.all(all.map(({ done }) => done));
    this.#running.clear();
  }

  /** Sees to it that the machine is prepared: begins, or begins again when the pause after a failure is over. */
  want(order: NotedOrder, instance: Instance): void {
    if (this.#stopped) return;
    const now = this.#deps.clock.monotonic();
    let preparation = this.#running.get(order.machineId);
    if (preparation && preparation.nextAt > now) return;
    preparation ??= { abort: new AbortController(), attempts: 0, nextAt: 0, failure: null, done: Promise.resolve() };
    preparation.nextAt = Number.POSITIVE_INFINITY;
    this.#running.set(order.machineId, preparation);
    preparation.done = this.#try(preparation, order, instance);
  }

  /** The machine is not wanted any more. */
  async drop(machineId: string): Promise<void> {
    const preparation = this.#running.get(machineId);
    if (!preparation) return;
    preparation.abort.abort();
    await preparation.done;
    this.#running.delete(machineId);
  }

  trouble(machineId: string): string | null {
    const failure = this.#running.get(machineId)?.failure;
    return failure ? `it could not be prepared: ${failure.sentence}` : null;
  }

  async #try(preparation: Preparation, order: NotedOrder, instance: Instance): Promise<void> {
    const { clock, logger, prepare, onChange, onProgress } = this.#deps;
    const { machineId } = order;
    try {
      await prepare(order, instance, preparation.abort.signal, (step, percent) => {
        if (!preparation.abort.signal.aborted) onProgress(machineId, { step, percent, failure: preparation.failure });
      });
      if (preparation.abort.signal.aborted) return;
      this.#running.delete(machineId);
      onChange(machineId, true);
    } catch (error) {
      if (preparation.abort.signal.aborted) return;
      const ms = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** preparation.attempts);
      preparation.attempts += 1;
      preparation.nextAt = clock.monotonic() + ms;
      const before = preparation.failure?.sentence;
      const failure = { sentence: messageOf(error), attempts: preparation.attempts, at: clock.now() };
      preparation.failure = failure;
      const { sentence, attempts } = failure;
      logger.warn({ machine: machineId, attempts, nextInMs: ms }, `it could not be prepared: ${sentence}`);
      onProgress(machineId, { step: null, percent: null, failure });
      if (before !== sentence) onChange(machineId, false);
    }
  }
}
