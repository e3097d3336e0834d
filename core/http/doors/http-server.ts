import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import type Koa from 'koa';
import { CerebroError, messageOf, systemCode } from '../../errors.ts';
import { type ConnectionBounds, ConnectionLimit, DEFAULT_BOUNDS } from './connection-limit.ts';
import { DEFAULT_REQUEST_BOUNDS, serverOptions } from './request-bounds.ts';

/** What listens, and hands on whom it lets in. */
export interface Door {
  readonly server: Server;
  /** Calls back with each request, before it is answered. */
  onRequest(listener: (request: IncomingMessage, response: ServerResponse) => void): void;
  closeIdleConnections(): void;
  /** The server has let go of its port and of everybody. */
  closed(): void;
}

/** Plain HTTP for everybody who reaches it. */
export function plainDoor(handler: RequestListener, bounds = DEFAULT_REQUEST_BOUNDS): Door {
  const server = createServer(serverOptions(bounds), handler);
  return {
    server,
    onRequest: (listener) => server.prependListener('request', listener),
    closeIdleConnections: () => server.closeIdleConnections(),
    closed: () => undefined,
  };
}

export interface HttpServerOptions {
  door?: Door;
  bounds?: ConnectionBounds;
}

/** Listens, to no more than so many at once, and lets go again within a bounded time whatever its clients do. */
export class HttpServer {
  readonly #door: Door;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #url = '';

  constructor(app: Koa, { door = plainDoor(app.callback()), bounds = DEFAULT_BOUNDS }: HttpServerOptions = {}) {
    this.#door = door;
    this.#server = door.server;
    // A connection that could not be taken in (no more descriptors) is its client's loss, not the daemon's end.
    this.#server.on('error', () => undefined);
    const limit = new ConnectionLimit(bounds);
    // Node's own among them: who is refused is not to reach it.
    const listeners = this.#server.listeners('connection');
    this.#server.removeAllListeners('connection').on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      if (limit.admit(socket)) for (const listener of listeners) listener.call(this.#server, socket);
    });
    door.onRequest((request, response) => limit.began(request, response));
  }

  /** The base URL; empty: it did not listen yet. */
  get url(): string {
    return this.#url;
  }

  /** Resolves to the base URL. Throws `conflict` for a port that is taken. */
  async listen(host: string, port: number): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    }).catch((error: unknown) => {
      if (systemCode(error) === 'EADDRINUSE') {
        throw new CerebroError(
          'conflict',
          `port ${port} on ${host} is taken by another program; name another with --port`,
        );
      }
      throw new CerebroError('unavailable', `cannot listen on ${host}:${port}: ${messageOf(error)}`, { cause: error });
    });
    const { address, port: actual, family } = this.#server.address() as AddressInfo;
    this.#url = `http://${family === 'IPv6' ? `[${address}]` : address}:${actual}`;
    return this.#url;
  }

  /** Streams that follow a log or events have no end of their own: they are cut. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#door.closeIdleConnections();
    await new Promise<void>((resolve) => setImmediate(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    this.#door.closed();
  }
}
