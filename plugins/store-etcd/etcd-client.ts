import { readFileSync } from 'node:fs';
import { Agent, type Dispatcher, request } from 'undici';
import type { z } from 'zod';
import type { Clock } from '../../core/contracts/clock.ts';
import { CerebroError, messageOf } from '../../core/errors.ts';
import { tokenAnswer, versionAnswer } from './etcd-answers.ts';
import { connectionWords, refusalOf, TokenOver, TryAgain } from './etcd-errors.ts';
import { RangeSession } from './range-session.ts';
import type { Config } from './schema.ts';

/** Every endpoint is asked so often before a call gives up, if there is time. */
const ROUNDS = 2;
const BETWEEN_ROUNDS_MS = 300;
const CONNECT_MS = 3000;
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;
/** Simple tokens live for five minutes; one that etcd has forgotten some versions answer by no more than a cut. */
const TOKEN_MS = 120_000;

export interface CallOptions {
  /** Milliseconds for everything; default: the timeout of the configuration. */
  withinMs?: number;
  signal?: AbortSignal;
}

/**
 * etcd's HTTP gateway, over undici: one call, at whichever endpoint answers. A call may reach etcd twice (when its first answer was
 * lost), so every request that is made with it must be one that may be repeated.
 */
export class EtcdClient {
  readonly #clock: Clock;
  readonly #config: Config;
  #agents: { calls: Agent; streams: Agent } | null = null;
  #tls: { ca?: string; cert?: string; key?: string } = {};
  readonly #underWay = new Set<AbortController>();
  readonly #sessions = new Set<RangeSession>();
  /** The endpoint that answered last. */
  #at = 0;
  #token: { text: string; until: number } | null = null;

  constructor(clock: Clock, config: Config) {
    this.#clock = clock;
    this.#config = config;
  }

  /** Throws `invalid` for a file that cannot be read, `unauthorized` for a wrong password, `unavailable` without an answer. */
  async start(): Promise<void> {
    const { tls } = this.#config;
    this.#tls = {
      ...(tls?.ca_file !== undefined && { ca: read('tls.ca_file', tls.ca_file) }),
      ...(tls?.cert_file !== undefined && { cert: read('tls.cert_file', tls.cert_file) }),
      ...(tls?.key_file !== undefined && { key: read('tls.key_file', tls.key_file) }),
    };
    const connect = { timeout: CONNECT_MS, ...this.#tls };
    this.#agents = {
      calls: new Agent({ connect, maxResponseSize: MAX_ANSWER_BYTES }),
      streams: new Agent({ connect, bodyTimeout: 0 }),
    };
    const { etcdserver } = await this.#anywhere({}, (endpoint, signal) =>
      this.#exchange(endpoint, 'GET', '/version', undefined, versionAnswer, signal),
    );
    const [major = 0, minor = 0] = etcdserver.split('.').map(Number);
    if (major < 3 || (major === 3 && minor < 4))
      throw new CerebroError('unsupported', `this is etcd ${etcdserver}; store-etcd needs 3.4 or later`);
  }

  async stop(): Promise<void> {
    const agents = this.#agents;
    this.#agents = null;
    for (const call of this.#underWay) call.abort(new Error('the store is being closed'));
    for (const session of this.#sessions) session.close();
    this.#token = null;
    await Promise.all([agents?.calls.destroy(), agents?.streams.destroy()]);
  }

  /** Milliseconds for a call. */
  get timeoutMs(): number {
    return this.#config.timeout * 1000;
  }

  /** Milliseconds for a try at one endpoint, so that there is time for another. */
  get tryMs(): number {
    return this.#shareOf(this.timeoutMs);
  }

  async call<T>(path: string, body: object, answer: z.ZodType<T>, options: CallOptions = {}): Promise<T> {
    return this.#anywhere(options, async (endpoint, signal) =>
      this.#exchange(endpoint, 'POST', path, body, answer, signal, await this.#authorization(endpoint, signal)),
    );
  }

  /** Opens a stream at the endpoint that answered last; its end or failure is for the caller to notice, who calls `passOn` then. */
  async stream(path: string, body: object, signal: AbortSignal): Promise<Dispatcher.ResponseData['body']> {
    const agents = this.#open();
    const endpoint = this.#endpoint();
    const answer = await request(new URL(path, endpoint), {
      method: 'POST',
      dispatcher: agents.streams,
      headersTimeout: this.timeoutMs,
      signal,
      // Else a member without a quorum keeps the stream open and says nothing.
      headers: { 'grpc-metadata-hasleader': 'true', ...(await this.#authorization(endpoint, signal)) },
      body: JSON.stringify(body),
    });
    if (answer.statusCode === 200) return answer.body;
    const refusal = refusalOf(answer.statusCode, await answer.body.text(), endpoint);
    if (refusal instanceof TokenOver) this.#token = null;
    throw refusal;
  }

  /** A connection for long lists, at the endpoint that answered last. Whoever asks for it closes it. */
  async ranges(): Promise<RangeSession> {
    this.#open();
    const endpoint = this.#endpoint();
    const headers = await this.#within(this.timeoutMs, undefined, (signal) => this.#authorization(endpoint, signal));
    this.#open(); // it may have been closed meanwhile
    const session = new RangeSession(endpoint, {
      tls: this.#tls,
      headers,
      clock: this.#clock,
      onClose: (closed) => this.#sessions.delete(closed),
    });
    this.#sessions.add(session);
    return session;
  }

  /** The next endpoint is asked from now on. */
  passOn(): void {
    this.#at = (this.#at + 1) % this.#config.endpoints.length;
    this.#token = null;
  }

  async #anywhere<T>(options: CallOptions, ask: (endpoint: string, signal: AbortSignal) => Promise<T>): Promise<T> {
    const { endpoints } = this.#config;
    const withinMs = options.withinMs ?? this.timeoutMs;
    const deadline = this.#clock.monotonic() + withinMs;
    const eachMs = this.#shareOf(withinMs);
    let words = '';
    for (let attempt = 0; attempt < ROUNDS * endpoints.length; attempt++) {
      if (attempt > 0 && attempt % endpoints.length === 0) await this.#pause(BETWEEN_ROUNDS_MS);
      const leftMs = deadline - this.#clock.monotonic();
      if (leftMs <= 0) break;
      this.#open();
      const endpoint = this.#endpoint();
      try {
        return await this.#within(Math.min(leftMs, eachMs), options.signal, (signal) => ask(endpoint, signal));
      } catch (error) {
        if (error instanceof CerebroError) throw error;
        if (options.signal?.aborted || this.#agents === null)
          throw new CerebroError('unavailable', 'the request to etcd was given up');
        words = error instanceof TryAgain ? error.message : `${endpoint}: ${connectionWords(error)}`;
        if (error instanceof TokenOver) this.#token = null;
        else this.passOn();
      }
    }
    throw new CerebroError('unavailable', `etcd does not answer (${words || 'no time was left'})`);
  }

  /** With listeners of its own, taken away afterwards: `AbortSignal.any` would leave some on signals that live as long as we do. */
  async #within<T>(ms: number, outer: AbortSignal | undefined, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const own = new AbortController();
    const abort = (): void => own.abort(new Error('given up'));
    const timer = this.#clock.timer(ms, () => own.abort(new Error('no answer in time')));
    this.#underWay.add(own);
    outer?.addEventListener('abort', abort);
    if (outer?.aborted) abort();
    try {
      return await ask(own.signal);
    } finally {
      timer.cancel();
      this.#underWay.delete(own);
      outer?.removeEventListener('abort', abort);
    }
  }

  async #authorization(endpoint: string, signal: AbortSignal): Promise<Record<string, string>> {
    const { user: name } = this.#config;
    if (name === undefined) return {};
    if (this.#token === null || this.#token.until < this.#clock.monotonic()) {
      const body = { name, password: this.#password() };
      const { token } = await this.#exchange(endpoint, 'POST', '/v3/auth/authenticate', body, tokenAnswer, signal);
      this.#token = { text: token, until: this.#clock.monotonic() + TOKEN_MS };
    }
    return { authorization: this.#token.text };
  }

  async #exchange<T>(
    endpoint: string,
    method: 'GET' | 'POST',
    path: string,
    body: object | undefined,
    answer: z.ZodType<T>,
    signal: AbortSignal,
    headers: Record<string, string> = {},
  ): Promise<T> {
    const response = await request(new URL(path, endpoint), {
      method,
      dispatcher: this.#open().calls,
      signal,
      headers,
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.body.text();
    if (response.statusCode !== 200) throw refusalOf(response.statusCode, text, endpoint);
    try {
      return answer.parse(JSON.parse(text));
    } catch {
      throw new TryAgain(`${endpoint}${path} answers, but not as etcd does`);
    }
  }

  #password(): string {
    const { password_file: file, password_env: variable = '' } = this.#config;
    const text = file === undefined ? process.env[variable] : read('password_file', file);
    if (text === undefined)
      throw new CerebroError('invalid', `store-etcd: the environment variable ${variable} is not set`);
    return text.replace(/\r?\n$/, '');
  }

  #endpoint(): string {
    return this.#config.endpoints[this.#at] ?? '';
  }

  #shareOf(ms: number): number {
    return Math.max(1000, ms / (this.#config.endpoints.length + 1));
  }

  #open(): { calls: Agent; streams: Agent } {
    if (!this.#agents) throw new CerebroError('unavailable', 'the store is not open');
    return this.#agents;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.timer(ms, resolve));
  }
}

function read(key: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CerebroError('invalid', `store-etcd: ${key}: ${messageOf(error)}`);
  }
}
