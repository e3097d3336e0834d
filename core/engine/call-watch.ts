import type { Clock } from '../contracts/clock.ts';
import { messageOf } from '../errors.ts';
import type { CallHealth } from '../model/cluster-view.ts';

/** Starting and stopping is the engine's own matter, and told as the plugin's state. */
const UNCOUNTED = new Set<string | symbol>(['start', 'stop']);
const LONGEST_MESSAGE = 500;

interface Call {
  call: string;
  at: number;
}

/** Notes how the calls to something go: for those who ask whether it works. */
export class CallWatch {
  readonly #clock: Pick<Clock, 'now'>;
  #done = 0;
  #failed = 0;
  #lastDone: Call | null = null;
  #lastFailed: (Call & { message: string }) | null = null;
  /** In the order in which they were begun. */
  readonly #open = new Set<Call>();

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  /** The same thing; what its methods answer later is noted. What they answer at once is asked of memory, and tells nothing. */
  watch<T extends object>(thing: T): T {
    return new Proxy(thing, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        // Called on the thing itself: private fields are not there on a stand-in.
        const call = (...args: unknown[]): unknown => Reflect.apply(value, target, args);
        return UNCOUNTED.has(key) ? call : (...args: unknown[]): unknown => this.#note(String(key), call(...args));
      },
    });
  }

  health(): CallHealth {
    const [oldest] = this.#open;
    return {
      done: this.#done,
      failed: this.#failed,
      lastDone: this.#lastDone && { call: this.#lastDone.call, at: iso(this.#lastDone.at) },
      lastFailed: this.#lastFailed && { ...this.#lastFailed, at: iso(this.#lastFailed.at) },
      waiting: oldest ? { call: oldest.call, since: iso(oldest.at) } : null,
    };
  }

  #note(name: string, answer: unknown): unknown {
    if (!(answer instanceof Promise)) return answer;
    const call: Call = { call: name, at: this.#clock.now() };
    this.#open.add(call);
    return answer.then(
      (value: unknown) => {
        this.#open.delete(call);
        this.#done += 1;
        this.#lastDone = { call: name, at: this.#clock.now() };
        return value;
      },
      (error: unknown) => {
        this.#open.delete(call);
        this.#failed += 1;
        const message = messageOf(error).slice(0, LONGEST_MESSAGE);
        this.#lastFailed = { call: name, at: this.#clock.now(), message };
        throw error;
      },
    );
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
