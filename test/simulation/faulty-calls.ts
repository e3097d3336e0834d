import { CerebroError } from '../../core/errors.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SitterProcess } from './sitter-process.ts';
import type { CallKind, World } from './world.ts';

export interface Call<T> {
  /** For the timeline, and for errors. */
  what: string;
  timeoutMs: number;
  /** Whether there is a way to the other side just now; asked when the call arrives there and when the answer leaves. */
  reachable?(): boolean;
  /** What the other side does. It may be done more than once, and after the caller has given up. */
  act(): T | Promise<T>;
  /** Whether it is told on the timeline. */
  told?: boolean;
}

/** Calls from a cluster sitter's process to the outside, which go wrong as calls do. */
export class FaultyCalls {
  readonly #world: World;
  readonly #process: SitterProcess;
  readonly #kind: CallKind;
  readonly #random: SeededRandom;

  constructor(world: World, process: SitterProcess, kind: CallKind) {
    this.#world = world;
    this.#process = process;
    this.#kind = kind;
    this.#random = world.random.fork(`calls to ${kind} of ${process.name}`);
  }

  make<T>(call: Call<T>): Promise<T> {
    const [world, process] = [this.#world, this.#process];
    if (!process.alive || process.crashesBefore(call.what, this.#kind)) return never();
    const faults = world.faults[this.#kind];
    const latency = (): number => this.#random.between(1, faults.slowMs);
    return new Promise<T>((resolve, reject) => {
      let over = false;
      const settle = (how: () => void): void => {
        if (over) return;
        over = true;
        timeout.cancel();
        process.deliver(how);
      };
      const fail = (sentence: string): void => {
        if (!over) world.tell(`${process.name}: ${call.what}: ${sentence}`);
        settle(() => reject(new CerebroError('unavailable', `${call.what}: ${sentence}`)));
      };
      const timeout = world.clock.timer(call.timeoutMs, () => fail('no answer in time'));
      const arrive = (answers: boolean, remark: string): void => {
        if (call.reachable?.() === false) return;
        if (call.told !== false) world.tell(`${process.name} -> ${call.what}${remark}`);
        const answer = (how: () => void): void => {
          process.crashesAfter(call.what, this.#kind);
          if (answers && call.reachable?.() !== false) world.after(latency(), () => settle(how));
        };
        // An act that throws at once is answered like one that fails later.
        new Promise<T>((done) => done(call.act())).then(
          (value) => answer(() => resolve(value)),
          (error: Error) => answer(() => reject(error)),
        );
      };
      const draw = this.#random.next();
      const { refused, lostAnswer, late, twice } = faults;
      if (draw < refused) {
        world.after(latency(), () => fail('refused'));
      } else if (draw < refused + lostAnswer) {
        world.after(latency(), () => {
          arrive(false, ' (its answer will be lost)');
          // Some losses are noticed at once (a reset connection), others by the timeout.
          if (this.#random.chance(0.5)) world.after(latency(), () => fail('the connection broke'));
        });
      } else if (draw < refused + lostAnswer + late) {
        world.after(call.timeoutMs + this.#random.between(100, 30_000), () => arrive(false, ' (late)'));
      } else {
        world.after(latency(), () => arrive(true, ''));
        if (draw < refused + lostAnswer + late + twice)
          world.after(latency() + this.#random.between(0, 5000), () => arrive(false, ' (once more)'));
      }
    });
  }
}

/** What a process that has ended waits for. */
export function never<T>(): Promise<T> {
  return new Promise<T>(() => undefined);
}
