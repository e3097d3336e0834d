import { join } from 'node:path';
import { OrderPipe } from './order-pipe.ts';
import { ORDER_PIPES } from './shim-script.ts';

/** The order pipes of one launcher: each is used by one shim at a time. */
export class OrderPipes {
  readonly #folder: string;
  readonly #names: readonly string[];
  readonly #all: OrderPipe[] = [];
  readonly #free: OrderPipe[] = [];
  #retired = false;

  constructor(folder: string, tag: string) {
    this.#folder = folder;
    this.#names = Array.from({ length: ORDER_PIPES }, (_, n) => `${tag}.${n}`);
  }

  /** Throws what the system says where they were not made. */
  open(): void {
    for (const name of this.#names) this.#all.push(new OrderPipe(join(this.#folder, name), name));
    this.#free.push(...this.#all);
  }

  take(): OrderPipe | undefined {
    return this.#free.pop();
  }

  /** `unread`: what was written into it may not have been read. false: it was taken away from its folder. */
  giveBack(pipe: OrderPipe, unread: boolean): boolean {
    if (this.#retired) {
      pipe.close();
      return true;
    }
    try {
      if (unread) pipe.empty();
    } catch {
      pipe.close();
      return false;
    }
    this.#free.push(pipe);
    return true;
  }

  /** The launcher is gone: a pipe is closed as soon as no shim of it waits for its order there. */
  retire(): void {
    this.#retired = true;
    for (const pipe of this.#free.splice(0)) pipe.close();
  }

  close(): void {
    this.#free.length = 0;
    for (const pipe of this.#all.splice(0)) pipe.close();
  }
}
