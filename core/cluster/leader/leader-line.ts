import type { Readable } from 'node:stream';
import type { PeerCertificate } from 'node:tls';
import { Agent, request } from 'undici';
import type { Clock } from '../../contracts/clock.ts';
import { CerebroError, messageOf, systemCode } from '../../errors.ts';
import { bearsName, CLUSTER_DOOR_NAME, RENEWAL_SHARE, type TlsIdentity } from '../../model/tls-identity.ts';

const CONNECT_MS = 3000;
/** For the whole of a request that is passed on; the command line waits for a minute. */
const ANSWER_MS = 30_000;
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** What went wrong before a request was on its way: nothing can have been done. */
const NOT_SENT = new Set([
  ...['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT'],
  ...['ERR_TLS_CERT_ALTNAME_INVALID', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
]);

export interface PassedOn {
  method: string;
  /** With its query. */
  path: string;
  headers: Record<string, string>;
  body: string | Readable | undefined;
}

export interface Passed {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

export interface LeaderLineDeps {
  /** A certificate of this cluster sitter's own, good for `lifetimeMs`. */
  issue(): Promise<TlsIdentity>;
  lifetimeMs: number;
  clock: Pick<Clock, 'now'>;
}

/** The connections from a cluster sitter that stands by to the one that leads, over mutual TLS by the cluster's own authority. */
export class LeaderLine {
  readonly #deps: LeaderLineDeps;
  #agent: Promise<Agent> | null = null;
  #renewAt = 0;
  #closed = false;

  constructor(deps: LeaderLineDeps) {
    this.#deps = deps;
  }

  /** Throws `unavailable` when it was not sent, and `timeout` when nobody knows what became of it. Sends once. */
  async send(url: string, { method, path, headers, body }: PassedOn): Promise<Passed> {
    const agent = await this.#current();
    try {
      const answer = await request(`${url.replace(/^http:/, 'https:').replace(/\/+$/, '')}${path}`, {
        method: method as 'POST',
        headers,
        dispatcher: agent,
        headersTimeout: ANSWER_MS,
        signal: AbortSignal.timeout(ANSWER_MS),
        ...(body !== undefined && { body }),
      });
      // Whole, before anything of it is passed on: what breaks off in the middle is told in a sentence of ours.
      return { status: answer.statusCode, headers: answer.headers, body: Buffer.from(await answer.body.arrayBuffer()) };
    } catch (error) {
      const reason = messageOf(error);
      if (NOT_SENT.has(systemCode(error) ?? ''))
        throw new CerebroError(
          'unavailable',
          `this cluster sitter stands by, and the one that led last, at ${url}, does not answer (${reason}); nothing was done, try again in a moment`,
        );
      throw new CerebroError(
        'timeout',
        `this was passed on to the cluster sitter that leads, at ${url}, and no answer came (${reason}); it may have been done or not: look before you ask again`,
      );
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const agent = this.#agent;
    this.#agent = null;
    await (await agent?.catch(() => null))?.destroy(); // one that was never made needs no end
  }

  #current(): Promise<Agent> {
    if (this.#closed) throw new CerebroError('unavailable', 'this cluster sitter is stopping; ask another one');
    const { clock, lifetimeMs } = this.#deps;
    if (this.#agent !== null && clock.now() < this.#renewAt) return this.#agent;
    const before = this.#agent;
    this.#renewAt = clock.now() + lifetimeMs * (1 - RENEWAL_SHARE);
    const made = this.#make();
    this.#agent = made;
    made.catch(() => {
      if (this.#agent === made) this.#agent = null; // the store may answer the next time
    });
    // What goes over the one before may come to its end first; one that was never made, or was destroyed, needs none.
    before?.then((agent) => agent.close()).catch(() => undefined);
    return made;
  }

  async #make(): Promise<Agent> {
    const { authority, certificate, key } = await this.#deps.issue();
    return new Agent({
      connections: 8,
      maxResponseSize: MAX_ANSWER_BYTES,
      keepAliveTimeout: 10_000,
      connect: {
        ca: authority,
        cert: certificate,
        key,
        minVersion: 'TLSv1.3',
        timeout: CONNECT_MS,
        // A resumed session is not asked for its certificate again.
        maxCachedSessions: 0,
        checkServerIdentity: checkDoor,
      },
    });
  }
}

function checkDoor(host: string, certificate: PeerCertificate): Error | undefined {
  if (bearsName(certificate.subjectaltname, CLUSTER_DOOR_NAME)) return undefined;
  return Object.assign(new Error(`what answers at ${host} is no cluster sitter of this cluster`), {
    code: 'ERR_TLS_CERT_ALTNAME_INVALID',
  });
}
