import type { Clock, Timer } from '../../contracts/clock.ts';
import type { Logger } from '../../contracts/logger.ts';
import { CerebroError, messageOf } from '../../errors.ts';
import type { MachineMessage } from '../../model/machine-stream.ts';
import type { Failure } from '../../model/progress.ts';

/** A stream that says nothing for this long is given up and opened again: a beat comes every second. */
const SILENCE_MS = 5000;
const RECONNECT_MS = [50, 100, 200, 500, 1000];

export interface MachineLineDeps {
  machineId: string;
  clock: Clock;
  logger: Logger;
  /** One stream, from where the last one was read to; it ends, or throws, when it breaks. */
  open(signal: AbortSignal): AsyncIterable<MachineMessage>;
  onMessage(message: MachineMessage): void;
  /** A try that came to nothing. */
  onFailure(failure: Failure): void;
  onBroken(): void;
}

/** The line to one machine: a stream that is opened again whenever it breaks or falls silent, until it is given up. */
export class MachineLine {
  readonly #deps: MachineLineDeps;
  readonly #end = new AbortController();

  constructor(deps: MachineLineDeps) {
    this.#deps = deps;
  }

  /** Given up. */
  end(): void {
    this.#end.abort();
  }

  /** Resolves when it was given up. */
  async keep(): Promise<void> {
    const { machineId, clock, logger, onFailure, onBroken } = this.#deps;
    const { signal } = this.#end;
    let failures = 0;
    while (!signal.aborted) {
      try {
        await this.#listen();
        failures = 0;
      } catch (error) {
        failures += 1;
        if (!signal.aborted) {
          const sentence = messageOf(error);
          logger.debug({ machine: machineId, reason: sentence }, 'the line to a machine broke');
          onFailure({ sentence, attempts: failures, at: clock.now() });
        }
      }
      if (signal.aborted) return;
      onBroken();
      await this.#pause(RECONNECT_MS[Math.min(failures, RECONNECT_MS.length - 1)] ?? 1000);
    }
  }

  async #listen(): Promise<void> {
    const { machineId, clock, open, onMessage } = this.#deps;
    const { signal } = this.#end;
    // Of its own: `AbortSignal.any` leaves something behind on a signal that lives as long as the machine.
    const connection = new AbortController();
    const giveUp = (): void => connection.abort();
    signal.addEventListener('abort', giveUp);
    const fallSilent = (): void => connection.abort(new CerebroError('timeout', `${machineId} fell silent`));
    let watchdog: Timer = clock.timer(SILENCE_MS, fallSilent);
    try {
      for await (const message of open(connection.signal)) {
        watchdog.cancel();
        watchdog = clock.timer(SILENCE_MS, fallSilent);
        onMessage(message);
      }
    } finally {
      watchdog.cancel();
      signal.removeEventListener('abort', giveUp);
    }
  }

  /** Waits, or not so long when the line is given up. */
  #pause(ms: number): Promise<void> {
    const { signal } = this.#end;
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = this.#deps.clock.timer(ms, done);
      signal.addEventListener('abort', done, { once: true });
    });
  }
}
