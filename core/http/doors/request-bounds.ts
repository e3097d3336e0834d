import type { ServerOptions } from 'node:http';
import type { ServerOpts } from 'node:net';

/** How long a request may take to come in, and how large its head may be, wherever we listen. */
export interface RequestBounds {
  /** Milliseconds for its head. */
  headersMs: number;
  /** Milliseconds for all of it. */
  requestMs: number;
  /** How often that is looked at. */
  checkMs: number;
}

export const DEFAULT_REQUEST_BOUNDS: RequestBounds = { headersMs: 15_000, requestMs: 120_000, checkMs: 1000 };

const MAX_HEADER_BYTES = 16 * 1024;
const KEEP_ALIVE_MS = 65_000;

/**
 * Of each socket that is taken in. A follower of a quiet log says nothing, and neither do we: that his host is gone is learnt from
 * the kernel alone, which asks after so many milliseconds of silence.
 */
export const SOCKET_OPTIONS = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 } satisfies ServerOpts;

/** The same as options of Node's servers. A head that is too large is answered with 431, one that is too slow with 408. */
export function serverOptions({ headersMs, requestMs, checkMs }: RequestBounds): ServerOptions {
  return {
    ...SOCKET_OPTIONS,
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    connectionsCheckingInterval: checkMs,
    maxHeaderSize: MAX_HEADER_BYTES,
    keepAliveTimeout: KEEP_ALIVE_MS,
  };
}
