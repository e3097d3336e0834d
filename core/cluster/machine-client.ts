import type { Readable } from 'node:stream';
import { Agent, request } from 'undici';
import { z } from 'zod';
import { CerebroError, type ErrorCode, messageOf } from '../errors.ts';
import type { MachineRecord } from '../model/machine.ts';
import { EPOCH_HEADER, type MachineMessage, machineMessage } from '../model/machine-stream.ts';
import { type RunEnd, runEnd, type TaskDefinition, type TaskStatus, taskStatus } from '../model/task.ts';

const ANSWER_MS = 10_000;
/** For what a page waits for. */
const READ_MS = 3000;
/** A stop waits for the task's own stop_timeout, which can be long; the cluster sitter asks again if this is not enough. */
const REMOVE_MS = 120_000;

const errorBody = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/** Talks with machine sitters. Every call has a deadline; what cannot be reached is `unavailable`. */
export class MachineClient {
  readonly #agent = new Agent({ connections: 8, keepAliveTimeout: 30_000, connect: { timeout: 5000 } });
  /** Streams without an end have connections of their own: commands must never wait for a reader. */
  readonly #streams = new Agent({ keepAliveTimeout: 1000, connect: { timeout: 5000 } });
  readonly #epoch: () => number;

  constructor(epoch: () => number) {
    this.#epoch = epoch;
  }

  async close(): Promise<void> {
    await Promise.all([this.#agent.destroy(), this.#streams.destroy()]);
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

  async restartTask(machine: MachineRecord, id: string, by: string): Promise<void> {
    await this.#call(machine, 'POST', `/api/v1/tasks/${encodeURIComponent(id)}/actions`, { action: 'restart', by });
  }

  async runs(machine: MachineRecord, id: string): Promise<RunEnd[]> {
    const path = `/api/v1/tasks/${encodeURIComponent(id)}/runs`;
    return z.array(runEnd).parse(await this.#call(machine, 'GET', path, undefined, READ_MS));
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
    }
  }

  async #open(
    machine: MachineRecord,
    path: string,
    signal: AbortSignal,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; headers: Record<string, string>; body: Readable }> {
    try {
      const response = await request(`${endpointOf(machine)}${path}`, {
        dispatcher: this.#streams,
        headers: { ...headers, ...this.#headers(machine) },
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
      throw unreachable(machine, error);
    }
  }

  async #call(
    machine: MachineRecord,
    method: 'GET' | 'PUT' | 'POST' | 'DELETE',
    path: string,
    body?: unknown,
    timeout = ANSWER_MS,
  ): Promise<unknown> {
    try {
      const response = await request(`${endpointOf(machine)}${path}`, {
        method,
        dispatcher: this.#agent,
        headers: { ...this.#headers(machine), ...(body !== undefined && { 'content-type': 'application/json' }) },
        body: body === undefined ? null : JSON.stringify(body),
        headersTimeout: timeout,
        bodyTimeout: timeout,
        // Waiting for a connection counts too.
        signal: AbortSignal.timeout(timeout),
      });
      if (response.statusCode >= 400) throw await refusal(machine, response.statusCode, response.body);
      return await response.body.json();
    } catch (error) {
      throw unreachable(machine, error);
    }
  }

  #headers(machine: MachineRecord): Record<string, string> {
    return { authorization: `Bearer ${machine.token}`, [EPOCH_HEADER]: String(this.#epoch()) };
  }
}

function endpointOf(machine: MachineRecord): string {
  if (machine.endpoint === null) throw new CerebroError('unavailable', `${machine.id} has no address yet`);
  return machine.endpoint;
}

/** The machine's own words, with its code where we know it. */
async function refusal(
  machine: MachineRecord,
  status: number,
  body: { json(): Promise<unknown> },
): Promise<CerebroError> {
  const parsed = errorBody.safeParse(await body.json().catch(() => null));
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

function unreachable(machine: MachineRecord, error: unknown): CerebroError {
  if (error instanceof CerebroError) return error;
  return new CerebroError(
    'unavailable',
    `${machine.id} does not answer: ${messageOf(error) || 'the connection broke'}`,
    { cause: error },
  );
}
