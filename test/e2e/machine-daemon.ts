import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../core/engine/package-root.ts';
import type { RunEnd, TaskStatus } from '../../core/model/task.ts';
import type { ConfigurationInput } from '../machine/machine-under-test.ts';
import { eventually } from '../suites/eventually.ts';

/** On a loaded host a daemon with many tasks to take up again needs its time. */
const START_DEADLINE_MS = 120_000;

/** A machine sitter of the built program in a process of its own, that can be ended in every way and started again on its folder. */
export class MachineDaemon {
  readonly folder = mkdtempSync(join(tmpdir(), 'cerebro-daemon-'));
  /** May be changed between two starts. */
  readonly flags: string[];
  /** Lines of bash for what the daemon is started in. */
  prelude = '';
  #process: ChildProcess | null = null;
  #said = '';

  constructor(flags: readonly string[] = []) {
    this.flags = [...flags];
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** What it wrote to its standard error. */
  get said(): string {
    return this.#said;
  }

  async start(): Promise<void> {
    // Tests start more than the host has room for.
    const room = ['--capacity-cpu', '50000', '--capacity-mem', '100000000'];
    const args = [...room, '--mode', 'machine', '--data-dir', this.folder, '--port-fallback', ...this.flags];
    const program = [process.execPath, join(packageRoot, 'bin', 'cerebro'), ...args];
    // tap puts its loaders into every Node that it sees; env(1) takes them out, and the pid stays the same.
    const bare = ['/usr/bin/env', '-u', 'NODE_OPTIONS', ...program];
    this.#process = spawn('/bin/bash', ['-c', `${this.prelude}\nexec "$@"`, 'bash', ...bare], {
      env: { PATH: process.env.PATH ?? '', HOME: this.folder },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-20_000);
    });
    const { pid } = this.#process;
    await eventually(
      () => {
        if (this.#process?.exitCode !== null) throw new Error(`the daemon ended: ${this.#said}`);
        const file = this.#sitterFile();
        return file?.pid === pid && file?.url !== '';
      },
      'the daemon is ready',
      START_DEADLINE_MS,
    );
  }

  /** SIGTERM: it lets go of its tasks. SIGKILL: as a crash. Resolves when it is gone. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(signal);
    await gone;
  }

  /** SIGHUP: it reads its file of tasks again. */
  hangUp(): void {
    this.#process?.kill('SIGHUP');
  }

  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const token = readFileSync(join(this.folder, 'admin.token'), 'utf8').trim();
    const response = await fetch(`${this.#sitterFile()?.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as T;
  }

  add(id: string, configuration: ConfigurationInput): Promise<TaskStatus> {
    const definition = { id, job: id, version: 1, configuration: { name: id, ...configuration } };
    return this.call('PUT', `/api/v1/tasks/${encodeURIComponent(id)}`, { definition, start: true });
  }

  async tasks(): Promise<Map<string, TaskStatus>> {
    const tasks = await this.call<TaskStatus[]>('GET', '/api/v1/tasks');
    return new Map(tasks.map((task) => [task.id, task]));
  }

  runs(id: string): Promise<RunEnd[]> {
    return this.call('GET', `/api/v1/tasks/${encodeURIComponent(id)}/runs`);
  }

  /** Ends the tasks and the daemon, and removes everything. */
  async remove(): Promise<void> {
    if (this.#process?.exitCode !== null || this.#process.signalCode !== null) await this.start();
    await this.call('POST', '/api/v1/suspend', {});
    await this.end('SIGTERM');
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 30 });
  }

  #sitterFile(): { pid: number; url: string } | undefined {
    let text: string;
    try {
      text = readFileSync(join(this.folder, 'sitter.json'), 'utf8');
    } catch {
      return undefined; // not there yet; a new daemon takes away that of a killed one
    }
    return JSON.parse(text) as { pid: number; url: string };
  }
}
