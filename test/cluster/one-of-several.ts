import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDaemon, type Daemon } from '../../core/engine/create-daemon.ts';
import { packageRoot } from '../../core/engine/package-root.ts';
import { readSettings } from '../../core/engine/read-settings.ts';

export const LEASE_SECONDS = 8;

export interface Status {
  leads: boolean;
  leader: string | null;
  attention: string[];
  epoch: number;
}

/** A job without copies: a change that costs nothing. */
export const job = (name: string): string => `
task_configuration: {name: ${name}, command: sleep 1}
deployment_layout: {local-a: {count: 0}}
`;

/** A cluster sitter in this process, on a store that others use too. */
export class OneOfSeveral {
  readonly folder = mkdtempSync(join(tmpdir(), 'cerebro-stand-by-'));
  readonly #port: number;
  readonly #plugins: string;
  #daemon: Daemon | null = null;

  /** `endpoints`: of etcd. */
  constructor(port: number, endpoints: readonly string[], options: { timeout?: number } = {}) {
    this.#port = port;
    this.#plugins = join(this.folder, 'plugins.json');
    const use = (path: string, config = {}): object => ({ use: join(packageRoot, path), config, modes: ['cluster'] });
    const list = ['ui-dashboard', 'ui-settings', 'legacy-api'].map((name) => use(`plugins/${name}`));
    const store = use('plugins/store-etcd', { endpoints, lease: LEASE_SECONDS, ...options });
    writeFileSync(this.#plugins, JSON.stringify({ plugins: [store, use('providers/local'), ...list] }));
  }

  async start(): Promise<void> {
    this.#daemon = await createDaemon({
      mode: 'cluster',
      settings: readSettings(undefined, { data_dir: join(this.folder, 'data'), port: this.#port }),
      pluginsFile: this.#plugins,
      logFile: join(this.folder, 'log'),
      portFallback: false,
      onStopRequested: () => undefined,
    });
    await this.#daemon.start();
  }

  async stop(): Promise<void> {
    await this.#daemon?.stop();
    this.#daemon = null;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 30 });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get token(): string {
    return readFileSync(join(this.folder, 'data', 'admin.token'), 'utf8').trim();
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const authorization = `Bearer ${this.token}`;
    return fetch(this.url + path, { ...init, headers: { authorization, ...init.headers }, redirect: 'manual' });
  }

  async get<T>(path: string): Promise<T> {
    return (await this.fetch(path)).json() as Promise<T>;
  }

  status(): Promise<Status> {
    return this.get('/api/v1/status');
  }

  apply(text: string): Promise<Response> {
    return this.fetch('/api/v1/jobs', { method: 'POST', body: text, headers: { 'content-type': 'text/yaml' } });
  }

  async jobs(): Promise<string[]> {
    return (await this.get<{ name: string }[]>('/api/v1/jobs')).map(({ name }) => name).sort();
  }

  /** Who is said to have changed a job last. */
  async lastBy(name: string): Promise<string | undefined> {
    const events = await this.get<{ by?: string }[]>(`/api/v1/events?job=${name}&limit=100`);
    return events.findLast(({ by }) => by !== undefined)?.by;
  }
}
