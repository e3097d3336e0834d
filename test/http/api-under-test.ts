import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { z } from 'zod';
import { createDaemon, type Daemon } from '../../core/engine/create-daemon.ts';
import { readSettings } from '../../core/engine/read-settings.ts';
import type { settings } from '../../core/model/settings.ts';
import type { TaskStatus } from '../../core/model/task.ts';
import { type ConfigurationInput, definition } from '../machine/machine-under-test.ts';
import { eventually } from '../suites/eventually.ts';

/** A machine sitter with its HTTP API, in this process, in a folder of its own. */
export class ApiUnderTest {
  readonly folder: string;
  #daemon: Daemon | null = null;

  /** `parent`: where its data folder is made. */
  constructor(parent: string = tmpdir()) {
    this.folder = mkdtempSync(join(parent, 'cerebro-api-'));
  }

  get daemon(): Daemon {
    if (!this.#daemon) throw new Error('the daemon is not started');
    return this.#daemon;
  }

  async start(given: Partial<z.input<typeof settings>> = {}): Promise<void> {
    this.#daemon = await createDaemon({
      mode: 'machine',
      settings: readSettings(undefined, { data_dir: this.folder, capacity_cpu: 10_000, capacity_mem: 1e8, ...given }),
      pluginsFile: undefined,
      logFile: join(this.folder, 'log'),
      portFallback: true,
      onStopRequested: () => undefined,
    });
    await this.#daemon.start();
  }

  async stop(): Promise<void> {
    await this.#daemon?.stop();
    this.#daemon = null;
  }

  async remove(): Promise<void> {
    if (!this.#daemon) await this.start();
    for (const { id } of await this.tasks())
      await this.call(`/api/v1/tasks/${encodeURIComponent(id)}`, { method: 'DELETE' });
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 30 });
  }

  call(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${this.daemon.adminToken}`, 'content-type': 'application/json' };
    return fetch(`${this.daemon.url}${path}`, { ...init, headers: { ...headers, ...init.headers } });
  }

  async text(path: string, init: RequestInit = {}): Promise<string> {
    return (await this.call(path, init)).text();
  }

  async json<T>(path: string, init: RequestInit = {}): Promise<T> {
    return (await this.call(path, init)).json() as Promise<T>;
  }

  put(id: string, configuration: ConfigurationInput, init: RequestInit = {}): Promise<Response> {
    const body = JSON.stringify({ definition: definition(id, configuration), start: true });
    return this.call(`/api/v1/tasks/${encodeURIComponent(id)}`, { method: 'PUT', body, ...init });
  }

  act(id: string, order: Record<string, string>, init: RequestInit = {}): Promise<Response> {
    const path = `/api/v1/tasks/${encodeURIComponent(id)}/actions`;
    return this.call(path, { method: 'POST', body: JSON.stringify(order), ...init });
  }

  tasks(query = ''): Promise<TaskStatus[]> {
    return this.json(`/api/v1/tasks${query}`);
  }

  task(id: string): Promise<TaskStatus> {
    return this.json(`/api/v1/tasks/${encodeURIComponent(id)}`);
  }

  async phase(id: string, phase: TaskStatus['phase'], run = 0): Promise<TaskStatus> {
    let task: TaskStatus | null = null;
    await eventually(async () => {
      task = await this.task(id);
      return task.phase === phase && task.run >= run;
    }, `${id} is ${phase}`);
    if (!task) throw new Error('never');
    return task;
  }

  /** Reads a stream for as long as wanted. */
  async open(path: string, headers: Record<string, string> = {}): Promise<Reader> {
    const abort = new AbortController();
    const response = await this.call(path, { signal: abort.signal, headers });
    return new Reader(response, abort);
  }
}

/** What came of a stream so far. */
export class Reader {
  readonly response: Response;
  text = '';
  ended = false;
  readonly #abort: AbortController;
  readonly #reading: Promise<void>;

  constructor(response: Response, abort: AbortController) {
    this.response = response;
    this.#abort = abort;
    this.#reading = this.#read();
  }

  /** The messages of a stream of events that are whole. */
  get events(): { id: string; event: string; data: unknown }[] {
    const whole = this.text.slice(0, this.text.lastIndexOf('\n\n') + 2);
    return whole.split('\n\n').flatMap((block) => {
      const field = (name: string): string =>
        block
          .split('\n')
          .find((line) => line.startsWith(`${name}: `))
          ?.slice(name.length + 2) ?? '';
      return field('data') === ''
        ? []
        : [{ id: field('id'), event: field('event'), data: JSON.parse(field('data')) as unknown }];
    });
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#reading;
  }

  async #read(): Promise<void> {
    try {
      for await (const chunk of this.response.body ?? []) this.text += Buffer.from(chunk).toString('utf8');
      this.ended = true;
    } catch {
      // aborted by us, or the daemon has ended
    }
  }
}
