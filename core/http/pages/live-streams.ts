import { Readable } from 'node:stream';
import type { Context } from 'koa';

/** Pages are told of changes at most this often. */
const LIVE_MS = 300;
/**
 * Many pages are told one after the other over this time: told at once, they would all ask at once, and whoever clicks then would
 * wait behind them.
 */
const SPREAD_MS = 1000;
/** So many are told at once all the same. */
const AT_ONCE = 4;
/** A comment that keeps proxies from closing a quiet stream. */
const BEAT_MS = 15_000;
const BEAT = ':\n\n';
const CHANGE = 'event: change\ndata: {}\n\n';

/** The streams of open pages, by which they hear that something changed. */
export class LiveStreams {
  readonly #streams = new Set<Readable>();
  readonly #listen: (listener: () => void) => () => void;
  #timer: NodeJS.Timeout | null = null;
  #offChange: (() => void) | null = null;
  /** Who is still to be told of the last change; something that changes meanwhile is told in the next round. */
  #round: Readable[] = [];
  #changed = false;

  /** `listen`: hears of changes; gives how to stop. */
  constructor(listen: (listener: () => void) => () => void) {
    this.#listen = listen;
  }

  open(ctx: Context): void {
    const stream = new Readable({ read: () => undefined });
    const beat = setInterval(() => {
      if (stream.readableLength === 0) stream.push(BEAT);
    }, BEAT_MS);
    stream.push('retry: 1000\n\n');
    this.#streams.add(stream);
    // Changes are listened to only while somebody looks on: to tell of them costs a busy machine something.
    this.#offChange ??= this.#listen(() => this.#ring());
    const end = (): void => {
      clearInterval(beat);
      this.#streams.delete(stream);
      if (this.#streams.size === 0) this.#stopListening();
    };
    stream.once('close', end);
    ctx.res.once('close', () => stream.destroy());
    ctx.type = 'text/event-stream';
    ctx.set('Cache-Control', 'no-store');
    ctx.body = stream;
    ctx.flushHeaders();
  }

  stop(): void {
    this.#stopListening();
    for (const stream of this.#streams) stream.destroy();
    this.#streams.clear();
  }

  #stopListening(): void {
    this.#offChange?.();
    this.#offChange = null;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.#round = [];
    this.#changed = false;
  }

  #ring(): void {
    if (this.#streams.size === 0) return;
    this.#changed = true;
    this.#timer ??= setTimeout(() => this.#tell(), LIVE_MS);
  }

  #tell(): void {
    this.#timer = null;
    if (this.#round.length === 0 && this.#changed) {
      this.#round = [...this.#streams];
      this.#changed = false;
    }
    const slots = Math.ceil(this.#streams.size / AT_ONCE);
    for (const stream of this.#round.splice(0, AT_ONCE)) {
      // Where a change waits to be read already, another would say no more: whoever does not read has one in his queue, and not all.
      if (!stream.destroyed && stream.readableLength < CHANGE.length) stream.push(CHANGE);
    }
    if (this.#round.length > 0) this.#timer = setTimeout(() => this.#tell(), SPREAD_MS / slots);
    else if (this.#changed) this.#timer = setTimeout(() => this.#tell(), LIVE_MS);
  }
}
