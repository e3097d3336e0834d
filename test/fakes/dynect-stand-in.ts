import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { dynRoutes } from './dynect-routes.ts';
import { DynFault, DynZone } from './dynect-zones.ts';

export const CREDENTIALS = { customer_name: 'startup', user_name: 'cerebro', password: 'correct horse' };

interface Answer {
  code: number;
  body: unknown;
}

/** What a route is given. */
export interface DynRequest {
  token: string;
  method: string;
  /** Behind `/REST/`. */
  path: string[];
  detail: boolean;
  body: Record<string, unknown>;
}

/**
 * Dyn's REST API as its documentation, its clients and recorded traffic have it, and stricter than it in what it takes. It keeps
 * count of what a client must not do, in `violations`.
 */
export class DynectStandIn {
  readonly zones: Map<string, DynZone>;
  readonly violations: string[] = [];
  /** `METHOD /path` of all requests. */
  readonly requests: string[] = [];
  logins = 0;
  /** Looks at a task until it is complete. */
  taskLooks = 1;
  /** Which requests take so long that they become jobs, and how many looks each takes. */
  slow: (request: string) => number = () => 0;
  /** How many of the coming requests are over the rate. */
  limitNext = 0;
  /** How many of the coming changes find the zone busy with somebody else's task. */
  blockNext = 0;
  /** The last part of a task's life: complete, or one of the ways to fail. */
  taskEnd = 'complete';
  url = '';
  readonly tokens = new Set<string>();
  readonly #jobs = new Map<string, { answer: Answer; looksLeft: number; token: string }>();
  #lastId = 4_342_593_698; // More than 32 bits, as theirs are.
  #server: Server | null = null;

  constructor(zones: readonly string[]) {
    this.zones = new Map(zones.map((name) => [name, new DynZone(name)]));
  }

  async start(port = 0): Promise<void> {
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: Error) => {
        this.violations.push(`the stand-in failed: ${error.message}`);
        response.destroy();
      });
    });
    await new Promise<void>((resolve) => this.#server?.listen(port, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (typeof address === 'object' && address) this.url = `http://127.0.0.1:${address.port}/REST/`;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (!server) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  /** As after an hour of silence: what was not published is gone, too. */
  expireSessions(): void {
    for (const token of this.tokens) for (const zone of this.zones.values()) zone.discard(token);
    this.tokens.clear();
  }

  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const url = new URL(request.url ?? '/', 'http://dyn');
    const line = `${request.method} ${url.pathname}`;
    this.requests.push(line);
    if (request.headers['content-type'] !== 'application/json') this.violations.push(`${line}: no JSON content type`);
    if (this.limitNext > 0) {
      this.limitNext -= 1;
      return send(response, 429, failure('RATE_LIMIT_EXCEEDED', 'rate: Limit exceeded'));
    }
    const path = url.pathname.split('/').filter((part) => part !== '');
    const asked: DynRequest = {
      token: String(request.headers['auth-token'] ?? ''),
      method: request.method ?? '',
      path: path.slice(1),
      detail: url.searchParams.get('detail') === 'Y',
      body: chunks.length === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString()),
    };
    if (asked.path[0] === 'Job') {
      this.#job(asked, response);
      return;
    }
    const answer = this.#answer(asked);
    const looks = this.slow(line);
    if (looks === 0) return send(response, answer.code, answer.body);
    const id = this.nextId();
    this.#jobs.set(String(id), { answer, looksLeft: looks, token: asked.token });
    return redirect(response, id);
  }

  #job(asked: DynRequest, response: ServerResponse): void {
    const id = asked.path[1] ?? '';
    const job = this.#jobs.get(id);
    if (asked.method !== 'GET') this.violations.push(`a job was asked for with ${asked.method}`);
    if (!job || job.token !== asked.token) {
      send(response, 404, failure('NOT_FOUND', 'job: No such job'));
      return;
    }
    job.looksLeft -= 1;
    if (job.looksLeft === 1) send(response, 200, { status: 'incomplete', data: null, job_id: Number(id) });
    else if (job.looksLeft > 0) redirect(response, Number(id));
    else {
      this.#jobs.delete(id);
      // The look-up was a success, whatever became of the job.
      send(response, 200, job.answer.body);
    }
  }

  #answer(asked: DynRequest): Answer {
    try {
      if (asked.path[0] === 'Session') return this.#session(asked);
      if (asked.token === '')
        throw new DynFault('INVALID_DATA', 'The Auth-Token HTTP header must be set to make this call');
      if (!this.tokens.has(asked.token)) throw new DynFault('INVALID_DATA', 'login: inactivity logout');
      if ([...this.#jobs.values()].some((job) => job.token === asked.token))
        return {
          code: 400,
          body: { ...failure('OPERATION_FAILED', 'token: This session already has a job running'), status: 'running' },
        };
      return { code: 200, body: success(this.nextId(), dynRoutes(this, asked)) };
    } catch (error) {
      if (!(error instanceof DynFault)) throw error;
      const body = failure(error.code, error.message);
      // These come inside an array.
      const wrapped = error.code === 'ILLEGAL_OPERATION' || error.code === 'TARGET_EXISTS';
      return { code: error.httpStatus, body: wrapped ? [body] : body };
    }
  }

  #session({ method, token, body }: DynRequest): Answer {
    if (method === 'POST') {
      this.logins += 1;
      if (JSON.stringify(body) !== JSON.stringify(CREDENTIALS))
        throw new DynFault('INVALID_DATA', 'login: Bad or expired credentials');
      const made = `${Buffer.alloc(100, this.logins).toString('base64')}==`;
      this.tokens.add(made);
      return { code: 200, body: success(this.nextId(), { token: made, version: '3.7.13' }) };
    }
    if (!this.tokens.has(token)) throw new DynFault('INVALID_DATA', 'login: Bad or expired credentials');
    if (method === 'DELETE') {
      this.tokens.delete(token);
      for (const zone of this.zones.values()) zone.discard(token);
    }
    return { code: 200, body: success(this.nextId(), {}) };
  }
}

function success(jobId: number, data: unknown): object {
  return { status: 'success', data, job_id: jobId, msgs: [{ INFO: 'done', SOURCE: 'BLL', ERR_CD: null, LVL: 'INFO' }] };
}

function failure(code: string, info: string): object {
  return {
    status: 'failure',
    data: {},
    job_id: 1,
    msgs: [
      { INFO: info, SOURCE: 'BLL', ERR_CD: code, LVL: 'ERROR' },
      { INFO: 'context: more about it', SOURCE: 'BLL', ERR_CD: null, LVL: 'INFO' },
    ],
  };
}

function send(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function redirect(response: ServerResponse, id: number): void {
  const path = `/REST/Job/${id}`;
  response.writeHead(307, { location: path, 'content-type': 'text/html' });
  response.end(path);
}
