import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { HISTORY_SPANS } from '../../core/model/history.ts';
import { BEAT_MS, type MachineMessage } from '../../core/model/machine-stream.ts';
import { type TaskStatus, type TaskUsage, taskDefinition } from '../../core/model/task.ts';
import type { TlsIdentity } from '../../core/model/tls-identity.ts';
import type { HostVitals } from '../../core/model/vitals.ts';
import { runningTask } from '../../test/fakes/running-task.ts';

const VITALS_MS = HISTORY_SPANS.hour.stepSeconds * 1000;

const USAGE: TaskUsage = { cpu: 0.1, memBytes: 1e7, processes: 1, throttledSeconds: 0, readBytes: 0, writtenBytes: 0 };

/** A machine as the cluster sitter sees one: its sitter's protocol over mutual TLS, and tasks that run as soon as they are given. */
export class SimulatedMachine {
  readonly id: string;
  readonly #server: Server;
  readonly #address: string;
  readonly #port: number;
  readonly #tasks = new Map<string, TaskStatus>();
  readonly #streams = new Set<ServerResponse>();
  readonly #onTask: (id: string) => void;
  #beats: NodeJS.Timeout | undefined;

  /** `onTask` is told of each task that runs now and did not before. */
  constructor(at: { id: string; address: string; port: number }, identity: TlsIdentity, onTask: (id: string) => void) {
    this.id = at.id;
    this.#address = at.address;
    this.#port = at.port;
    this.#onTask = onTask;
    this.#server = createServer(
      {
        ca: identity.authority,
        cert: identity.certificate,
        key: identity.key,
        requestCert: true,
        rejectUnauthorized: true,
        minVersion: 'TLSv1.3',
      },
      (request, response) => this.#serve(request, response),
    );
  }

  get streams(): number {
    return this.#streams.size;
  }

  get endpoint(): string {
    return `https://${this.#address}:${this.#port}`;
  }

  get tasks(): number {
    return this.#tasks.size;
  }

  listen(): Promise<void> {
    // Each machine beats at a moment of its own, as they do.
    setTimeout(() => {
      let beats = 0;
      this.#beats = setInterval(() => {
        beats += 1;
        this.#tell({ type: 'beat' });
        if ((beats * BEAT_MS) % VITALS_MS === 0) this.#tell({ type: 'vitals', host: vitals() });
      }, BEAT_MS);
    }, Math.random() * BEAT_MS);
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, this.#address, () => resolve());
    });
  }

  /** As a power cut: what was open is reset, nothing answers any more. */
  die(): void {
    clearInterval(this.#beats);
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #tell(message: MachineMessage): void {
    const line = `${JSON.stringify(message)}\n`;
    for (const stream of this.#streams) stream.write(line);
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const path = new URL(request.url ?? '/', this.endpoint).pathname;
    const task = /^\/api\/v1\/tasks\/([^/]+)$/.exec(path)?.[1];
    if (request.method === 'GET' && path === '/api/v1/watch') {
      this.#watch(response);
    } else if (task !== undefined && request.method === 'PUT') {
      this.#put(request, response);
    } else {
      if (task !== undefined && request.method === 'DELETE') this.#remove(decodeURIComponent(task));
      request.resume();
      answer(response, { done: true });
    }
  }

  #remove(id: string): void {
    if (this.#tasks.delete(id)) this.#tell({ type: 'task-gone', id });
  }

  #watch(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    this.#streams.add(response);
    response.once('close', () => this.#streams.delete(response));
    const hello: MachineMessage = { type: 'hello', enforcer: 'simulated', tasks: [...this.#tasks.values()] };
    response.write(`${JSON.stringify(hello)}\n${JSON.stringify({ type: 'vitals', host: vitals() })}\n`);
  }

  #put(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.once('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { definition: unknown };
      const definition = taskDefinition.parse(body.definition);
      const status = runningTask(definition, { usage: USAGE });
      const isNew = !this.#tasks.has(definition.id);
      this.#tasks.set(definition.id, status);
      this.#tell({ type: 'task', task: status });
      if (isNew) this.#onTask(definition.id);
      answer(response, status);
    });
  }
}

function answer(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function vitals(): HostVitals {
  const share = { some: 0, full: 0 };
  return {
    at: new Date().toISOString(),
    seconds: VITALS_MS / 1000,
    uptimeSeconds: 1000,
    cpu: { cores: 2, used: 0.5, perCore: [0.2, 0.3], waiting: 0, stolen: 0 },
    memory: { totalBytes: 8e9, usedBytes: 1e9, availableBytes: 7e9, swapTotalBytes: 0, swapUsedBytes: 0 },
    load: { one: 0.5, five: 0.5, fifteen: 0.5 },
    disk: { totalBytes: 1e11, usedBytes: 1e10, availableBytes: 9e10 },
    network: { receivedRate: 1000, sentRate: 1000 },
    pressure: { cpu: share, memory: share, io: share },
  };
}
