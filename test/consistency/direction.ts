import type { Socket } from 'node:net';

/** So much is under way at most; then who sends has to wait, as with a real wire. */
const MOST_BYTES = 1024 * 1024;

interface Parcel {
  due: number;
  bytes: number;
  deliver(): void;
}

/** What goes from one socket to another, in order: each part after its delay, and nothing while it is held. */
export class Direction {
  /** Milliseconds that everything takes from now on. */
  delayMs = 0;
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #parcels: Parcel[] = [];
  #underWay = 0;
  #held = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(source: Socket, sink: Socket) {
    this.#source = source;
    this.#sink = sink;
    source.on('data', (chunk) => this.#send(chunk.length, () => this.#write(chunk)));
    source.on('end', () => this.#send(0, () => this.#hangUp()));
    sink.on('drain', () => this.#flow());
  }

  /** Before anything that comes. */
  first(deliver: () => void): void {
    this.#send(0, deliver);
  }

  hold(): void {
    this.#held = true;
  }

  letGo(): void {
    this.#held = false;
    this.#pump();
  }

  end(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.#parcels.length = 0;
    this.#source.destroy();
    this.#sink.destroy();
  }

  #write(chunk: Buffer): void {
    if (!this.#sink.destroyed) this.#sink.write(chunk);
  }

  #hangUp(): void {
    if (!this.#sink.destroyed) this.#sink.end();
  }

  #send(bytes: number, deliver: () => void): void {
    const last = this.#parcels.at(-1)?.due ?? 0;
    this.#parcels.push({ due: Math.max(last, performance.now() + this.delayMs), bytes, deliver });
    this.#underWay += bytes;
    this.#pump();
    this.#flow();
  }

  #pump(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#held) return;
    for (let next = this.#parcels[0]; next !== undefined; next = this.#parcels[0]) {
      const wait = next.due - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.#pump(), Math.ceil(wait));
        break;
      }
      this.#parcels.shift();
      this.#underWay -= next.bytes;
      next.deliver();
    }
    this.#flow();
  }

  #flow(): void {
    if (this.#underWay > MOST_BYTES || this.#sink.writableNeedDrain) this.#source.pause();
    else if (this.#source.isPaused()) this.#source.resume();
  }
}
