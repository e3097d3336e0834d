import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export interface ConnectionBounds {
  /** Connections at once. */
  most: number;
  /** So many more are let in when all of those are at work: for one answer each, and not for long. */
  reserve: number;
  /** Milliseconds for such an answer. */
  reserveMs: number;
}

export const DEFAULT_BOUNDS: ConnectionBounds = { most: 4096, reserve: 64, reserveMs: 60_000 };

/** Refused connections that are still being told so; beyond that nothing is told any more. */
const MOST_REFUSALS = 256;
const REFUSAL_MS = 1000;

const FULL = JSON.stringify({
  error: {
    code: 'unavailable',
    message: 'there are too many connections here (max_connections); try again in a moment',
  },
});

interface Entry {
  socket: Socket;
  reserved: boolean;
  /** What it asks and is answered, until that has arrived. */
  exchange: { request: IncomingMessage; response: ServerResponse } | null;
}

/**
 * Bounds the connections of a server so that nobody can shut others out by being there. Where it is full, a new connection takes
 * the place of the one that has had nothing at work for longest: silent, between two requests, in the middle of one, or with
 * an answer that is made and not read. Only where all are at work (followers, streams) a few more are let in, for one answer
 * each; then comes 503.
 */
export class ConnectionLimit {
  readonly #bounds: ConnectionBounds;
  /** By the other side's address and port, which TLS shows too. In the order of their last requests and answers, oldest first. */
  readonly #entries = new Map<string, Entry>();
  #reserved = 0;
  #refusals = 0;

  constructor(bounds: ConnectionBounds) {
    this.#bounds = bounds;
  }

  /** Takes a new connection in, or refuses it; false: it is refused, and not to be listened to. */
  admit(socket: Socket): boolean {
    const { most, reserve, reserveMs } = this.#bounds;
    const key = keyOf(socket);
    let reserved = false;
    if (this.#entries.size - this.#reserved >= most && !this.#makeRoom()) {
      if (this.#reserved >= reserve) {
        this.#refuse(socket);
        return false;
      }
      reserved = true;
      this.#reserved += 1;
    }
    const timer = reserved ? setTimeout(() => socket.destroy(), reserveMs) : null;
    this.#entries.set(key, { socket, reserved, exchange: null });
    socket.once('close', () => {
      if (timer) clearTimeout(timer);
      if (reserved) this.#reserved -= 1;
      this.#entries.delete(key);
    });
    return true;
  }

  /** A request has begun on a connection that was admitted. */
  began(request: IncomingMessage, response: ServerResponse): void {
    const key = keyOf(request.socket);
    const entry = this.#entries.get(key);
    if (!entry) return;
    if (entry.reserved) response.setHeader('Connection', 'close');
    entry.exchange = { request, response };
    // From now on it is the one that was at work last.
    const last = (): void => {
      if (this.#entries.delete(key)) this.#entries.set(key, entry);
    };
    last();
    response.once('close', () => {
      if (entry.exchange?.response === response) entry.exchange = null;
      last();
    });
  }

  /** Ends the connection that has been waiting for longest; false: all are at work. */
  #makeRoom(): boolean {
    for (const [key, { socket, exchange, reserved }] of this.#entries) {
      // One that has been read whole is being answered. When all of that is written there is no work left, only a reader:
      // who asks for much and reads nothing is not to hold a place.
      if (reserved || (exchange?.request.complete && !exchange.response.writableEnded)) continue;
      this.#entries.delete(key);
      socket.destroy();
      return true;
    }
    return false;
  }

  #refuse(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    if (this.#refusals >= MOST_REFUSALS) {
      socket.destroy();
      return;
    }
    this.#refusals += 1;
    const timer = setTimeout(() => socket.destroy(), REFUSAL_MS);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#refusals -= 1;
    });
    // What it says is read and forgotten: closed with that unread, it would never see the answer.
    socket.resume();
    socket.end(
      `HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: ${FULL.length}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n${FULL}`,
    );
  }
}

/** As many connections as wished, but no more than leave half of the descriptors to the work itself. */
export function connectionBounds(wished: number): ConnectionBounds {
  const limits = readFileSync('/proc/self/limits', 'latin1');
  const descriptors = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  return { ...DEFAULT_BOUNDS, most: Math.max(16, Math.min(wished, Math.floor(descriptors / 2))) };
}

function keyOf(socket: Socket): string {
  return `${socket.remoteAddress}#${socket.remotePort}`;
}
