import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { bearsName, CLUSTER_SITTER_NAME, type TlsIdentity } from '../../model/tls-identity.ts';
import type { Door } from './http-server.ts';
import { DEFAULT_REQUEST_BOUNDS, type RequestBounds, SOCKET_OPTIONS, serverOptions } from './request-bounds.ts';

/** The first byte of a TLS connection; no HTTP request begins with it. */
const TLS_HANDSHAKE = 0x16;
/** A connection that says nothing, or does not come to an understanding, for this long is closed. */
const FIRST_WORD_MS = 10_000;

export interface TwoWayDoorOptions {
  handler: RequestListener;
  /** null: TLS is closed, until `use`. */
  identity: TlsIdentity | null;
  /** Whether plain HTTP is spoken with whoever has this address; those who are refused read `refusal`. */
  plain(address: string | undefined): boolean;
  refusal: string;
  bounds?: RequestBounds | undefined;
}

/**
 * One port, two kinds of callers. TLS is for cluster sitters, who prove themselves by their certificate; plain HTTP is for people and
 * programs, whose token decides. Without a certificate of its own only the second is open.
 */
export class TwoWayDoor implements Door {
  readonly server: Server;
  readonly #options: TwoWayDoorOptions;
  readonly #plain: ReturnType<typeof createHttpServer>;
  readonly #tls: ReturnType<typeof createHttpsServer>;
  #open: boolean;

  constructor(options: TwoWayDoorOptions) {
    const { handler, identity, bounds = DEFAULT_REQUEST_BOUNDS } = options;
    this.#options = options;
    this.#open = identity !== null;
    this.#plain = createHttpServer(serverOptions(bounds), handler);
    this.#tls = createHttpsServer(
      {
        ...serverOptions(bounds),
        ...(identity && contextOf(identity)),
        requestCert: true,
        rejectUnauthorized: true,
        minVersion: 'TLSv1.3',
        handshakeTimeout: FIRST_WORD_MS,
      },
      handler,
    );
    for (const inner of [this.#plain, this.#tls]) inner.on('error', () => undefined);
    this.#tls.on('secureConnection', (socket) => {
      if (!isClusterSitter(socket)) socket.destroy();
    });
    this.server = createServer({ ...SOCKET_OPTIONS, allowHalfOpen: true }, (socket) => this.#greet(socket));
    this.server.once('listening', () => {
      // The two never listen themselves, but it is this that starts their watch over requests that do not come to an end.
      for (const inner of [this.#plain, this.#tls]) inner.emit('listening');
    });
  }

  /** Shows this certificate from the next connection on; those that are open stay. */
  use(identity: TlsIdentity): void {
    this.#tls.setSecureContext(contextOf(identity));
    this.#open = true;
  }

  onRequest(listener: (request: IncomingMessage, response: ServerResponse) => void): void {
    for (const inner of [this.#plain, this.#tls]) inner.prependListener('request', listener);
  }

  closeIdleConnections(): void {
    this.#plain.closeIdleConnections();
    this.#tls.closeIdleConnections();
  }

  /** Ends what watches over requests. */
  closed(): void {
    this.#plain.close();
    this.#tls.close();
  }

  #greet(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    socket.setTimeout(FIRST_WORD_MS, () => socket.destroy());
    const leave = (): void => {
      socket.destroy();
    };
    socket.once('end', leave);
    socket.once('data', (first) => {
      socket.off('end', leave);
      socket.setTimeout(0).removeAllListeners('timeout');
      socket.pause();
      socket.unshift(first);
      if (first[0] === TLS_HANDSHAKE) {
        // TLS takes what was read so far out of the socket by itself, in its turn: the socket must not flow before.
        if (this.#open) this.#tls.emit('connection', socket);
        else socket.destroy();
        return;
      }
      if (this.#options.plain(socket.remoteAddress)) {
        this.#plain.emit('connection', socket);
      } else {
        socket.end(
          `HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n${this.#options.refusal}`,
        );
        socket.setTimeout(1000, () => socket.destroy());
      }
      socket.resume();
    });
  }
}

/** Whoever came in over TLS showed a certificate of our authority; only a cluster sitter's is let in. */
function isClusterSitter(socket: TLSSocket): boolean {
  return socket.authorized && bearsName(socket.getPeerCertificate().subjectaltname, CLUSTER_SITTER_NAME);
}

function contextOf({ authority, certificate, key }: TlsIdentity): { ca: string; cert: string; key: string } {
  return { ca: authority, cert: certificate, key };
}
