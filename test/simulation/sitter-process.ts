import type { Clock, Timer } from '../../core/contracts/clock.ts';
import type { CallKind, World } from './world.ts';

type Crash = { calls: number; when: 'before' | 'after'; of?: CallKind };

/**
 * The process in which a cluster sitter runs. Everything from outside reaches it through `deliver`, so it can be frozen (what came
 * meanwhile is there when it thaws) and killed (nothing that it still does has any effect, and nothing that it waits for comes).
 */
export class SitterProcess {
  readonly name: string;
  readonly clock: Clock;
  /** 0: it does not lead yet. */
  epoch = 0;
  /** Since when it has run without a pause, and when it last heard each machine. */
  awakeSince: number;
  readonly heardAt = new Map<string, number>();
  readonly #world: World;
  #state: 'running' | 'frozen' | 'dead' = 'running';
  #frozenAt = 0;
  #held: (() => void)[] = [];
  #crash: Crash | null = null;
  readonly #onEnd: (() => void)[] = [];

  constructor(world: World) {
    this.#world = world;
    this.name = `sitter ${world.processes.length + 1}`;
    this.awakeSince = world.clock.now();
    this.clock = {
      now: () => world.clock.now(),
      monotonic: () => world.clock.monotonic(),
      timer: (ms, callback) => this.#timer(ms, callback),
    };
    world.processes.push(this);
  }

  get alive(): boolean {
    return this.#state !== 'dead';
  }

  get frozen(): boolean {
    return this.#state === 'frozen';
  }

  /** Whether nobody was given a newer lease. */
  get leads(): boolean {
    return this.alive && this.epoch > 0 && this.epoch === this.#world.epoch;
  }

  deliver(news: () => void): void {
    if (this.#state === 'running' && this.#held.length === 0) news();
    else if (this.alive) this.#held.push(news);
  }

  /** Called when it ends, however it ends. */
  onEnd(listener: () => void): void {
    if (this.alive) this.#onEnd.push(listener);
    else listener();
  }

  end(how: string): void {
    if (!this.alive) return;
    this.#state = 'dead';
    this.#held = [];
    this.#world.tell(`${this.name} ${how}`);
    for (const listener of this.#onEnd.splice(0)) listener();
  }

  /** The crash comes with the `calls`th call to the outside from now: before it is sent, or when it has been obeyed. */
  crashAtCall(crash: Crash): void {
    this.#crash = crash;
  }

  /** Whether it crashed with this call, before it was sent. */
  crashesBefore(what: string, kind: CallKind): boolean {
    if (!this.#crash || (this.#crash.of ?? kind) !== kind) return false;
    this.#crash.calls -= 1;
    if (this.#crash.calls > 0 || this.#crash.when !== 'before') return false;
    this.end(`crashes just before: ${what}`);
    return true;
  }

  crashesAfter(what: string, kind: CallKind): void {
    if ((this.#crash?.of ?? kind) !== kind) return;
    if (this.#crash?.when === 'after' && this.#crash.calls <= 0) this.end(`crashes just after: ${what}`);
  }

  freeze(): void {
    if (this.#state !== 'running') return;
    this.#state = 'frozen';
    this.#frozenAt = this.#world.clock.now();
    this.#world.tell(`${this.name} is frozen`);
  }

  thaw(): void {
    if (this.#state !== 'frozen') return;
    this.#state = 'running';
    const now = this.#world.clock.now();
    this.#world.tell(`${this.name} thaws after ${((now - this.#frozenAt) / 1000).toFixed(1)} s`);
    if (now - this.#frozenAt > 2500) this.awakeSince = now;
    this.#world.after(0, () => this.#takeHeld());
  }

  /** One after another, as an event loop would, with its promises going on in between. */
  #takeHeld(): void {
    if (this.#state !== 'running') return;
    this.#held.shift()?.();
    if (this.#held.length > 0) this.#world.after(0, () => this.#takeHeld());
  }

  #timer(ms: number, callback: () => void): Timer {
    let cancelled = false;
    const timer = this.#world.clock.timer(ms, () =>
      this.deliver(() => {
        if (!cancelled) callback();
      }),
    );
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }
}
