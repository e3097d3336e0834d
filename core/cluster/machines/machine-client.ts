import type { Readable } from 'node:stream';
import { request } from 'undici';
import { z } from 'zod';
import { CerebroError, type ErrorCode, messageOf, systemCode } from '../../errors.ts';
import { type History, type HistorySpan, history } from '../../model/history.ts';
import type { MachineRecord } from '../../model/machine.ts';
import { EPOCH_HEADER, type MachineMessage, machineMessage, ORDER_HEADER } from '../../model/machine-stream.ts';
import { type RunEnd, runEnd, type TaskDefinition, type TaskStatus, taskStatus } from '../../model/task.ts';
import type { TlsIdentity } from '../../model/tls-identity.ts';
import type { MachineAgents } from './machine-agents.ts';

const ANSWER_MS = 10_000;
/** For what a page waits for. */
const READ_MS = 3000;
/** A stop waits for the task's own stop_timeout, which can be long; the cluster sitter asks again if this is not enough. */
const REMOVE_MS = 120_000;

/** A machine that was taken over must not fill our memory: of one message of its stream, and of one answer. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** As much of a machine's record as it takes to speak to it. */
type Whereabouts = Pick<MachineRecord, 'id' | 'endpoint'>;

const errorBody = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/** Talks with machine sitters, over mutual TLS. Every call has a deadline; what cannot be reached is `unavailable`. */
export class MachineClient {
  readonly #epoch: () => number;
  readonly #agents: MachineAgents;
  #orders = 0;

  constructor(epoch: () => number, agents: MachineAgents) {
    this.#epoch = epoch;
    this.#agents = agents;
  }

  async close(): Promise<void> {
    await this.#agents.close();
  }

  /** The machine is gone: nothing is kept for it. */
  forget(machineId: string): void {
    this.#agents.forget(machineId);
  }

  /** Whether it is there and takes us for what we are. */
  async greet(machine: Whereabouts): Promise<void> {
    await this.#call(machine, 'GET', '/api/v1/machine', undefined, READ_MS);
  }

  /** Gives a machine its next certificate. */
  async putIdentity(machine: MachineRecord, identity: TlsIdentity): Promise<void> {
    await this.#call(machine, 'PUT', '/api/v1/identity', identity);
  }

  async putTask(machine: MachineRecord, definition: TaskDefinition): Promise<TaskStatus> {
    const answer = await this.#call(machine, 'PUT', `/api/v1/tasks/${encodeURIComponent(definition.id)}`, {
      definition,
      start: true,
    });
    return taskStatus.parse(answer);
  }

  async removeTask(machine: MachineRecord, id: string): Promise<void> {
    await this.#call(machine, 'DELETE', `/api/v1/tasks/${encodeURIComponent(id)}`, undefined, REMOVE_MS);
  }

  /** Lets tasks that may not run twice go on. */
  async leash(machine: MachineRecord): Promise<void> {
    await this.#call(machine, 'POST', '/api/v1/leash', {}, READ_MS);
  }

  async runs(machine: MachineRecord, id: string): Promise<RunEnd[]> {
    const path = `/api/v1/tasks/${encodeURIComponent(id)}/runs`;
    return z.array(runEnd).parse(await this.#call(machine, 'GET', path, undefined, READ_MS));
  }

  /** `of`: `machine`, or `task:ID`. */
  async history(machine: MachineRecord, of: string, span: HistorySpan): Promise<History> {
    const query = new URLSearchParams({ of, span });
    return history.parse(await this.#call(machine, 'GET', `/api/v1/history?${query}`, undefined, READ_MS));
  }

  /** What a task wrote, as the machine sends it. The caller destroys the stream, or aborts. */
  async log(
    machine: MachineRecord,
    id: string,
    asked: { query: URLSearchParams; headers: Record<string, string> },
    signal: AbortSignal,
  ): Promise<{ status: number; headers: Record<string, string>; body: Readable }> {
    return this.#open(machine, `/logs/${encodeURIComponent(id)}?${asked.query}`, signal, asked.headers);
  }

  /** The machine's stream: `hello`, then every change, for as long as the connection holds. */
  async *watch(machine: MachineRecord, since: number, signal: AbortSignal): AsyncGenerator<MachineMessage> {
    const { body: stream } = await this.#open(machine, `/api/v1/watch?since=${since}`, signal);
    stream.setEncoding('utf8');
    let rest = '';
    for await (const chunk of stream) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) yield machineMessage.parse(JSON.parse(line));
      if (rest.length > MAX_ANSWER_BYTES) throw tooMuch(machine);
    }
  }

  async #open(
    machine: Whereabouts,
    path: string,
    signal: AbortSignal,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; headers: Record<string, string>; body: Readable }> {
    try {
      const response = await request(`${endpointOf(machine)}${path}`, {
        dispatcher: (await this.#agents.of(machine.id)).streams,
        headers: { ...headers, ...this.#headers() },
        headersTimeout: ANSWER_MS,
        bodyTimeout: 0,
        signal,
      });
      // A range that is not kept is an answer for whoever asked for it.
      if (response.statusCode >= 400 && response.statusCode !== 416)
        throw await refusal(machine, response.statusCode, response.body);
      const said: Record<string, string> = {};
      for (const [name, value] of Object.entries(response.headers)) if (typeof value === 'string') said[name] = value;
      return { status: response.statusCode, headers: said, body: response.body };
    } catch (error) {
      throw this.#unreachable(machine, error);
    }
  }

  async #call(
    machine: Whereabouts,
    method: 'GET' | 'PUT' | 'POST' | 'DELETE',
    path: string,
    body?: unknown,
    timeout = ANSWER_MS,
  ): Promise<unknown> {
    try {
      const response = await request(`${endpointOf(machine)}${path}`, {
        method,
        dispatcher: (await this.#agents.of(machine.id)).calls,
        headers: { ...this.#headers(), ...(body !== undefined && { 'content-type': 'application/json' }) },
        body: body === undefined ? null : JSON.stringify(body),
        headersTimeout: timeout,
        bodyTimeout: timeout,
        // Waiting for a connection counts too.
        signal: AbortSignal.timeout(timeout),
      });
      if (response.statusCode >= 400) throw await refusal(machine, response.statusCode, response.body);
      return await boundedJson(machine, response.body);
    } catch (error) {
      throw this.#unreachable(machine, error);
    }
  }

  #unreachable(machine: Whereabouts, error: unknown): CerebroError {
    if (error instanceof CerebroError) return error;
    const ended = systemCode(error) === 'CERT_HAS_EXPIRED';
    if (ended) this.#agents.noteCertificateEnd(machine.id, 0);
    const reason = ended ? 'its certificate has ended' : messageOf(error) || 'the connection broke';
    return new CerebroError('unavailable', `${machine.id} does not answer: ${reason}`, { cause: error });
  }

  #headers(): Record<string, string> {
    this.#orders += 1;
    return { [EPOCH_HEADER]: String(this.#epoch()), [ORDER_HEADER]: String(this.#orders) };
  }
}

/** Commands go over TLS or not at all. */
function endpointOf({ id, endpoint }: Whereabouts): string {
  if (endpoint === null) throw new CerebroError('unavailable', `${id} has no address yet`);
  if (!endpoint.startsWith('https://')) {
    throw new CerebroError(
      'unavailable',
      `${id} is said to be at ${endpoint}; a machine sitter is spoken to over https`,
    );
  }
  return endpoint;
}

function tooMuch({ id }: Whereabouts): CerebroError {
  const size = `${MAX_ANSWER_BYTES / 1024 / 1024} MB`;
  return new CerebroError('unavailable', `${id} sent an answer of more than ${size}; no machine sitter says so much`);
}

/** The body is destroyed where it is too long: leaving the loop does it. */
async function boundedJson(machine: Whereabouts, body: Readable): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw tooMuch(machine);
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

/** The machine's own words, with its code where we know it. */
async function refusal(machine: Whereabouts, status: number, body: Readable): Promise<CerebroError> {
  const parsed = errorBody.safeParse(await boundedJson(machine, body).catch(() => null));
  if (!parsed.success) return new CerebroError('unavailable', `${machine.id} answered with status ${status}`);
  const { code, message } = parsed.data.error;
  const known: readonly string[] = [
    'invalid',
    'not_found',
    'ambiguous',
    'forbidden',
    'unavailable',
  ] satisfies ErrorCode[];
  return new CerebroError(
    known.includes(code) ? (code as ErrorCode) : 'unavailable',
    known.includes(code) ? message : `${machine.id}: ${message}`,
  );
}
