import type { MachineMessage } from '../../core/model/machine-stream.ts';
import type { Network } from './network.ts';
import type { Listener } from './simulated-machine.ts';
import type { SitterProcess } from './sitter-process.ts';
import type { World } from './world.ts';

export interface LineParts {
  world: World;
  network: Network;
  process: SitterProcess;
  machine: { id: string; zone: string };
}

/** One open stream from a machine to a process: in order, with a little delay; held up while the network is cut. */
export class Line implements Listener {
  readonly #parts: LineParts;
  /** Arrived, and not yet taken. */
  readonly #inbox: MachineMessage[] = [];
  /** On a way that is cut. */
  #underWay: MachineMessage[] = [];
  #wake: (() => void) | null = null;
  #broken = false;
  #arrivesAt = 0;
  #offs: (() => void)[] = [];

  constructor(parts: LineParts) {
    this.#parts = parts;
  }

  open(listen: (listener: Listener) => () => void): void {
    this.#offs = [this.#parts.network.onHeal(() => this.#resume()), listen(this)];
    this.#parts.process.onEnd(() => this.close());
  }

  say(message: MachineMessage): void {
    if (!this.#parts.network.reaches(this.#parts.machine)) this.#underWay.push(message);
    else this.#send(message);
  }

  hangUp(): void {
    this.#broken = true;
    this.#wake?.();
  }

  close(): void {
    this.#broken = true;
    for (const off of this.#offs.splice(0)) off();
  }

  /** The next message; null: the connection is over. */
  async next(): Promise<MachineMessage | null> {
    while (this.#inbox.length === 0 && !this.#broken) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#broken ? null : (this.#inbox.shift() ?? null);
  }

  #resume(): void {
    if (!this.#parts.network.reaches(this.#parts.machine)) return;
    for (const message of this.#underWay.splice(0)) this.#send(message);
  }

  #send(message: MachineMessage): void {
    const { world, process } = this.#parts;
    const now = world.clock.now();
    const arrive = (): void =>
      process.deliver(() => {
        this.#inbox.push(message);
        this.#wake?.();
      });
    // Beats are most of what is said; they need no alarm of their own when nothing is before them.
    if (message.type === 'beat' && this.#arrivesAt <= now) {
      arrive();
      return;
    }
    this.#arrivesAt = Math.max(this.#arrivesAt, now + 1 + (message.type === 'task' ? 5 : 0));
    world.after(this.#arrivesAt - now, arrive);
  }
}
