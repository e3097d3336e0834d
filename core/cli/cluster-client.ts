import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { CerebroError, type ErrorCode, messageOf } from '../errors.ts';
import { RefusedError } from './refused-error.ts';

const ANSWER_MS = 60_000;
/** Until a stream begins: a machine may have to look through all of a log for its first line. */
const STREAM_START_MS = 300_000;

const userConfig = z.strictObject({ clustersitterurl: z.string().optional(), token: z.string().optional() });
export type UserConfig = z.infer<typeof userConfig>;

const errorBody = z.object({
  error: z.object({ code: z.string(), message: z.string(), details: z.unknown().optional() }),
});

/**
 * `$XDG_CONFIG_HOME/cerebro/config.yaml`: which cluster sitter is meant when nothing else says so. Undefined for a user without a
 * home: in a container, one of a number only.
 */
export function userConfigPath(): string | undefined {
  const home = process.env.XDG_CONFIG_HOME;
  if (home) return join(home, 'cerebro', 'config.yaml');
  try {
    return join(homedir(), '.config', 'cerebro', 'config.yaml');
  } catch {
    return undefined; // Node throws where neither HOME nor the list of users names one
  }
}

export function readUserConfig(): UserConfig {
  const path = userConfigPath();
  if (path === undefined || !existsSync(path)) return {};
  try {
    return userConfig.parse(parse(readFileSync(path, 'utf8')) ?? {});
  } catch (error) {
    throw new CerebroError('invalid', `${path} cannot be read: ${messageOf(error)}; mend it, or delete it`);
  }
}

/** Keeps what worked, readable by its owner alone. */
export function writeUserConfig(config: UserConfig): void {
  const path = userConfigPath();
  if (path === undefined)
    throw new CerebroError(
      'unavailable',
      'this user has no home to keep a configuration in; set HOME or XDG_CONFIG_HOME',
    );
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, stringify(config), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

export interface ClientOptions {
  url: string | undefined;
  token: string | undefined;
  /** false: this cluster sitter is not to become the one that is meant by default. */
  remember?: boolean;
  /** What is spoken to, for messages: a machine sitter answers in the same way. */
  what?: string;
  /** How long an answer may take, in milliseconds. */
  answerMs?: number;
}

/** The cluster sitter, as the command line talks to it. No answer is `unavailable`; a refusal keeps its code and words. */
export class ClusterClient {
  readonly url: string;
  readonly #token: string;
  readonly #remembers: boolean;
  readonly #what: string;
  readonly #answerMs: number;

  private constructor(url: string, token: string, options: ClientOptions) {
    const { remember = true, what = 'cluster sitter', answerMs = ANSWER_MS } = options;
    this.url = url;
    this.#token = token;
    this.#remembers = remember;
    this.#what = what;
    this.#answerMs = answerMs;
  }

  /** From the flags, the environment, or the user's configuration, in this order. */
  static from(options: ClientOptions): ClusterClient {
    const config = readUserConfig();
    const url = options.url ?? process.env.CEREBRO_URL ?? config.clustersitterurl ?? 'http://127.0.0.1:30000';
    // A token goes only where it belongs: that of the configuration to the address that stands beside it.
    const fromConfig = withoutSlash(url) === withoutSlash(config.clustersitterurl ?? '') ? config.token : undefined;
    const token = options.token ?? process.env.CEREBRO_TOKEN ?? fromConfig;
    if (!URL.canParse(url) || !/^https?:/.test(url))
      throw new CerebroError(
        'usage',
        `"${url}" is not the URL of a cluster sitter; it looks like http://127.0.0.1:30000`,
      );
    if (token === undefined) {
      throw new CerebroError(
        'unauthorized',
        `no token for ${url}: give --token or CEREBRO_TOKEN (it is in the file admin.token of the cluster sitter's data folder)`,
      );
    }
    return new ClusterClient(withoutSlash(url), token, options);
  }

  async get<T>(path: string, schema: z.ZodType<T>): Promise<T> {
    return this.#read(await this.#fetch('GET', path), schema);
  }

  async send<T>(
    method: 'POST' | 'PUT' | 'DELETE',
    path: string,
    schema: z.ZodType<T>,
    body?: { text: string; type: string },
  ): Promise<T> {
    return this.#read(await this.#fetch(method, path, body), schema);
  }

  async sendJson<T>(method: 'POST' | 'PUT', path: string, schema: z.ZodType<T>, body: unknown): Promise<T> {
    return this.send(method, path, schema, { text: JSON.stringify(body), type: 'application/json' });
  }

  /** A body without end, as it comes, however long it is silent in between. It ends when `signal` is aborted. */
  async *stream(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    // Loaded here: only this needs it, since the fetch of Node breaks off a body that is silent for five minutes.
    const { request } = await import('undici');
    let response: Awaited<ReturnType<typeof request>>;
    try {
      response = await request(`${this.url}${path}`, {
        headers: this.#headers(),
        headersTimeout: STREAM_START_MS,
        bodyTimeout: 0,
        signal,
      });
    } catch (error) {
      if (signal.aborted) return;
      throw this.#noAnswer(error);
    }
    const { statusCode, body } = response;
    if (statusCode < 200 || statusCode > 299) throw this.#refusal(statusCode, await body.json().catch(() => null));
    if (this.#remembers) this.#remember();
    try {
      for await (const chunk of body) yield chunk as Uint8Array;
    } catch (error) {
      if (signal.aborted) return;
      throw new CerebroError('unavailable', `the connection to ${this.url} broke: ${messageOf(error)}`);
    }
  }

  /** Keeps address and token for the next time, unless they stand there already. */
  #remember(): void {
    try {
      if (readUserConfig().clustersitterurl !== undefined) return;
      writeUserConfig({ clustersitterurl: this.url, token: this.#token });
    } catch {
      // A convenience only: the command itself has succeeded, and there may be no home that can be written.
    }
  }

  async #fetch(method: string, path: string, body?: { text: string; type: string }): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(`${this.url}${path}`, {
        method,
        headers: { ...this.#headers(), ...(body && { 'content-type': body.type }) },
        ...(body && { body: body.text }),
        signal: AbortSignal.timeout(this.#answerMs),
      });
    } catch (error) {
      throw this.#noAnswer(error);
    }
    if (!response.ok) throw this.#refusal(response.status, await response.json().catch(() => null));
    return response;
  }

  /** Who answers like a cluster sitter is kept as the one that is meant. */
  async #read<T>(response: Response, schema: z.ZodType<T>): Promise<T> {
    let text: string;
    try {
      text = await response.text();
    } catch (error) {
      throw this.#noAnswer(error);
    }
    const answer = schema.safeParse(jsonOf(text));
    if (!answer.success) throw this.#refusal(response.status, null);
    if (this.#remembers) this.#remember();
    return answer.data;
  }

  #headers(): Record<string, string> {
    return { authorization: `Bearer ${this.#token}` };
  }

  #noAnswer(error: unknown): CerebroError {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : messageOf(error);
    const next =
      this.#what === 'cluster sitter' && /ECONNREFUSED/.test(cause)
        ? '; start it ("cerebro up"), or name another one with --clustersitterurl'
        : '';
    return new CerebroError('unavailable', `no answer from the ${this.#what} at ${this.url}: ${cause}${next}`);
  }

  #refusal(status: number, body: unknown): CerebroError {
    const parsed = errorBody.safeParse(body);
    if (!parsed.success)
      return new CerebroError(
        'internal',
        `${this.url} answered with status ${status}, and not as a ${this.#what} of this version does`,
      );
    const { code, message, details } = parsed.data.error;
    return new RefusedError(code as ErrorCode, message, details);
  }
}

/** undefined: it is none. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, '');
}
