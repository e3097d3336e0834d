import { randomBytes } from 'node:crypto';
import type { Clock, Timer } from '../../contracts/clock.ts';
import { CerebroError, messageOf } from '../../errors.ts';
import { type LauncherOptions, LauncherProcess } from './launcher-process.ts';
import type { OrderPipe } from './order-pipe.ts';
import { OrderPipes } from './order-pipes.ts';
import { HELLO, NOTHING_TO_DO } from './shim-script.ts';

/** How many shims are on their way at a time: more make each of them slower, and nothing faster. */
const AT_A_TIME = 8;
/** A host where a shell takes longer than this to say its first word cannot start tasks either. */
const DEADLINE_MS = 30_000;
const NO_SETSID = 'its task’s side ended (is setsid, of util-linux, installed?)';

/** What a shim is to its launcher. */
interface Known {
  readonly number: number;
  /** undefined: it has none yet, or has its order. */
  pipe: OrderPipe | undefined;
  /** Told once, who it is or why there is none; null afterwards. */
  born: { resolve(shim: LaunchedShim): void; reject(error: Error): void } | null;
  /** It is over when it says nothing until then. */
  deadline: Timer | null;
  /** Its task's exit status. */
  status: number | null;
  onEnd: ((status: number | null) => void) | null;
}

/** A shim that said who its task's side is, and can take one order. */
export interface LaunchedShim {
  /** /proc/self/stat of its task's side. */
  readonly stat: string;
  /** Whether it has ended. */
  readonly over: boolean;
  /** `onEnd` is called once, with the exit status, or null where the shim has ended before; not when the shim is killed itself. */
  order(sentence: string, onEnd: (status: number | null) => void): void;
  /** There is nothing for it to do. */
  discard(): void;
  /** It was killed: no more news will come of it. */
  lost(): void;
}

/** One launcher process, and what it tells of its shims; see shim-script.ts. */
export class ShimLauncher {
  readonly #clock: Clock;
  readonly #process: LauncherProcess;
  readonly #known = new Map<number, Known>();
  readonly #waiting: Known[] = [];
  readonly #pipes: OrderPipes;
  #number = 0;
  #underWay = 0;
  #ready: Timer | true;
  #failure: string | null = null;

  constructor(options: LauncherOptions) {
    this.#clock = options.clock;
    // Nobody may open a pipe that was another launcher's.
    const tag = randomBytes(6).toString('hex');
    this.#pipes = new OrderPipes(options.folder, tag);
    this.#process = new LauncherProcess(options, tag, {
      onNews: (line) => this.#hear(line),
      onEnd: (why) => this.#fail(why),
    });
    this.#ready = this.#deadline();
  }

  /** Whether it can start no more shims; those that it started live on. */
  get failed(): boolean {
    return this.#failure !== null;
  }

  /** Starts a shim. Throws `unavailable` when the system cannot. */
  launch(): Promise<LaunchedShim> {
    return new Promise((resolve, reject) => {
      this.#number += 1;
      const known: Known = {
        number: this.#number,
        pipe: undefined,
        born: { resolve, reject },
        deadline: null,
        status: null,
        onEnd: null,
      };
      if (this.#failure !== null) {
        this.#notBorn(known, this.#failure);
        return;
      }
      this.#known.set(known.number, known);
      this.#waiting.push(known);
      this.#next();
    });
  }

  get hasWorked(): boolean {
    return this.#ready === true;
  }

  /** Whether there is nothing to hear of it any more. */
  get done(): boolean {
    return this.failed && this.#known.size === 0;
  }

  /** Shims without an order end; the others are heard of no more. */
  close(): void {
    this.#fail('it was stopped');
    this.#pipes.close();
    this.#process.close();
  }

  /** As `close`, and resolves when the launcher itself has ended. */
  stop(): Promise<void> {
    this.close();
    return this.#process.ended();
  }

  #fail(why: string): void {
    if (this.#failure !== null) return;
    this.#failure = why;
    if (this.#ready !== true) this.#ready.cancel();
    this.#pipes.retire();
    for (const known of [...this.#known.values()]) if (known.born) this.#notBorn(known, why);
  }

  #giveUp(): void {
    this.#process.kill();
    this.#fail(`it said nothing for ${DEADLINE_MS / 1000} s`);
  }

  /** In two halves: after a pause (of a host that was suspended) a timer fires before anything was heard. */
  #deadline(): Timer {
    const half = DEADLINE_MS / 2;
    let timer = this.#clock.timer(half, () => {
      timer = this.#clock.timer(half, () => this.#giveUp());
    });
    return { cancel: () => timer.cancel() };
  }

  #next(): void {
    while (this.#underWay < AT_A_TIME && this.#failure === null) {
      const pipe = this.#waiting.length > 0 ? this.#pipes.take() : undefined;
      const known = pipe && this.#waiting.shift();
      if (!pipe || !known) return;
      this.#underWay += 1;
      known.pipe = pipe;
      known.deadline = this.#deadline();
      pipe.write(HELLO);
      this.#process.send(`${pipe.name} ${known.number}`);
    }
  }

  #hear(line: string): void {
    const [word = '', number, ...rest] = line.split(' ');
    if (word === 'ready') this.#open();
    const known = this.#known.get(Number(number));
    if (known) this.#learn(known, word, rest.join(' '));
    this.#next();
  }

  #open(): void {
    if (this.#ready !== true) this.#ready.cancel();
    this.#ready = true;
    if (this.#failure !== null) return;
    try {
      this.#pipes.open();
    } catch (error) {
      this.#process.close();
      this.#fail(messageOf(error));
    }
  }

  #learn(known: Known, word: string, rest: string): void {
    if (word === 'born') this.#bear(known, rest);
    else if (word === 'took') this.#giveBack(known, false);
    else if (word === 'failed') this.#notBorn(known, NO_SETSID);
    else if (word === 'end') this.#end(known, Number(rest));
  }

  #bear(known: Known, stat: string): void {
    const { born } = known;
    if (!born) return;
    this.#arrived(known);
    born.resolve({
      stat,
      get over() {
        return known.status !== null;
      },
      order: (sentence, onEnd) => {
        known.onEnd = onEnd;
        if (known.status === null) known.pipe?.write(sentence);
        else queueMicrotask(() => onEnd(null)); // what it ended with is the status of no task
      },
      discard: () => known.pipe?.write(NOTHING_TO_DO),
      lost: () => this.#forget(known),
    });
  }

  #notBorn(known: Known, why: string): void {
    const { born } = known;
    this.#arrived(known);
    this.#forget(known);
    born?.reject(new CerebroError('unavailable', `the shim of a task could not be started: ${why}`));
  }

  #arrived(known: Known): void {
    if (known.deadline) this.#underWay -= 1;
    known.deadline?.cancel();
    known.deadline = null;
    known.born = null;
  }

  #end(known: Known, status: number): void {
    if (known.born) {
      this.#notBorn(known, NO_SETSID);
      return;
    }
    known.status = status;
    this.#forget(known);
    known.onEnd?.(status);
  }

  #forget(known: Known): void {
    this.#known.delete(known.number);
    const at = this.#waiting.indexOf(known);
    if (at !== -1) this.#waiting.splice(at, 1);
    this.#giveBack(known, true);
  }

  #giveBack(known: Known, unread: boolean): void {
    const { pipe } = known;
    known.pipe = undefined;
    if (pipe && !this.#pipes.giveBack(pipe, unread)) this.#fail('its pipes are gone');
  }
}
