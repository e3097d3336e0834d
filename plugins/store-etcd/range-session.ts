import { type ClientHttp2Session, connect, type SecureClientSessionOptions } from 'node:http2';
import type { Clock, Timer } from '../../core/contracts/clock.ts';
import { refusalOf } from './etcd-errors.ts';
import { type RangePage, type RangeQuery, rangeRequest, rangeResponse } from './range-message.ts';

/** A page is sent without a stop in between. */
const WINDOW_BYTES = 16 * 1024 * 1024;
const MAX_MESSAGE_BYTES = 256 * 1024 * 1024;
/** Before each message of gRPC: whether it is compressed, and its length. */
const HEAD_BYTES = 5;
/** gRPC's own number for "it went well". */
const OK = '0';

/** etcd's call `Range` by gRPC, over one connection: for long lists, which its gateway makes JSON and base64 of at four times the cost. */
export class RangeSession {
  readonly #endpoint: string;
  readonly #session: ClientHttp2Session;
  readonly #headers: Record<string, string>;
  readonly #clock: Clock;

  /** `onClose`: the connection is gone. */
  constructor(
    endpoint: string,
    options: {
      tls: SecureClientSessionOptions;
      headers: Record<string, string>;
      clock: Clock;
      onClose(session: RangeSession): void;
    },
  ) {
    this.#endpoint = endpoint;
    this.#headers = options.headers;
    this.#clock = options.clock;
    this.#session = connect(endpoint, { ...options.tls, settings: { initialWindowSize: WINDOW_BYTES } });
    this.#session.on('error', () => undefined); // whoever asks is told
    this.#session.once('close', () => options.onClose(this));
    this.#session.once('connect', () => this.#session.setLocalWindowSize(WINDOW_BYTES));
  }

  /** Rejects with what etcd says, or with what became of the connection. */
  async range(query: RangeQuery, withinMs: number): Promise<RangePage> {
    return rangeResponse(await this.#call('/etcdserverpb.KV/Range', rangeRequest(query), withinMs));
  }

  close(): void {
    this.#session.destroy();
  }

  #call(path: string, message: Buffer, withinMs: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const stream = this.#session.request({
        ...this.#headers,
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        // Else a member without a quorum says nothing.
        hasleader: 'true',
      });
      const timer: Timer = this.#clock.timer(withinMs, () => stream.destroy(new Error('no answer in time')));
      const chunks: Buffer[] = [];
      let bytes = 0;
      let said: Record<string, unknown> = {};
      stream.on('response', (headers) => {
        said = headers; // an error may be all that there is
      });
      stream.on('trailers', (trailers) => {
        said = trailers;
      });
      stream.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > MAX_MESSAGE_BYTES) stream.destroy(new Error('etcd sent a message that has no end'));
      });
      stream.once('error', reject);
      stream.once('close', () => {
        timer.cancel();
        const refusal = this.#refusal(said);
        if (refusal) reject(refusal);
        else this.#deliver(Buffer.concat(chunks), resolve, reject);
      });
      const head = Buffer.alloc(HEAD_BYTES);
      head.writeUInt32BE(message.length, 1);
      stream.end(Buffer.concat([head, message]));
    });
  }

  #deliver(answer: Buffer, resolve: (message: Buffer) => void, reject: (error: Error) => void): void {
    const whole =
      answer.length >= HEAD_BYTES && answer[0] === 0 && answer.readUInt32BE(1) === answer.length - HEAD_BYTES;
    if (whole) resolve(answer.subarray(HEAD_BYTES));
    else reject(new Error(`${this.#endpoint} did not answer as etcd does`));
  }

  #refusal(said: Record<string, unknown>): Error | null {
    const status = said['grpc-status'];
    if (status === OK) return null;
    if (status === undefined) return new Error(`${this.#endpoint} does not speak gRPC`);
    const message = String(said['grpc-message'] ?? '').replace(/(?:%[0-9A-F]{2})+/gi, fromPercent);
    return refusalOf(500, JSON.stringify({ code: Number(status), message }), this.#endpoint);
  }
}

/** gRPC writes what is not ASCII as URLs do. */
function fromPercent(text: string): string {
  return Buffer.from(text.replaceAll('%', ''), 'hex').toString();
}
