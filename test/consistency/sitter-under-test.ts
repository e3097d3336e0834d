import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../core/engine/package-root.ts';
import { EmbeddedCluster } from '../e2e/embedded-cluster.ts';
import { freePort } from '../fakes/free-port.ts';
import { Link } from './link.ts';

export const LEASE_SECONDS = 8;
/** Somebody who wants an answer waits so long. */
const PATIENCE_MS = 10_000;
/** It is tried for so long to start it. */
const START_MS = 180_000;

/** A cluster sitter, the built program, that reaches everybody by wires of the test, and is started again when it ends, as by systemd. */
export class SitterUnderTest {
  readonly program = new EmbeddedCluster();
  /** To each member of etcd. */
  readonly toStore: readonly Link[];
  /** By which the other cluster sitters reach it. */
  readonly toUs: Link;
  readonly #flags: Record<string, string>;
  /** How much keeps it from running: it is started when nothing does. */
  #holds = 1;
  #failure: Error | null = null;
  #life: Promise<unknown> = Promise.resolve();

  private constructor(toStore: readonly Link[], toUs: Link, machines: string) {
    this.toStore = toStore;
    this.toUs = toUs;
    const use = (path: string, modes: string[], config = {}): object => ({
      use: join(packageRoot, path),
      modes,
      config,
    });
    const endpoints = toStore.map(({ port }) => `http://127.0.0.1:${port}`);
    const size = { name: 'small', cpu: 1, mem: 512 };
    const plugins = [
      use('plugins/enforcer-proc', ['machine']),
      use('plugins/store-etcd', ['cluster'], { endpoints, lease: LEASE_SECONDS, timeout: 4 }),
      use('test/consistency/linked-machines.ts', ['cluster'], {
        folder: machines,
        machine_types: [size],
        max_restarts_per_minute: 1000,
      }),
    ];
    const settings = [
      `advertised_url: http://127.0.0.1:${toUs.port}`,
      'startup_grace: 3\nsuspect_after: 2\nunreachable_after: 4\nlost_after: 6',
      'idle_grace: 3\nmax_idle_per_zone: 0\nlog_level: debug',
    ].join('\n');
    this.#flags = {
      '--plugins': this.#write('plugins.json', JSON.stringify({ plugins })),
      '--settings': this.#write('cerebro.yaml', settings),
    };
  }

  static async make(memberPorts: readonly number[], machines: string): Promise<SitterUnderTest> {
    const port = await freePort();
    const links = await Promise.all(memberPorts.map((member) => Link.to(member)));
    const sitter = new SitterUnderTest(links, await Link.to(port), machines);
    sitter.program.port = port;
    return sitter;
  }

  /** Starts it, again and again where it cannot (without a store, say), unless something else holds it still. */
  start(): void {
    this.#holds -= 1;
    if (this.#holds === 0) this.#next(() => this.#begin());
  }

  /** Ends it, when a start that is under way has come to its end; to be followed by one `start`. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#holds += 1;
    this.#next(() => this.program.end(signal));
    await this.#life;
  }

  /** Resolves when it is up. Throws what it said last when it could not be started. */
  async up(): Promise<void> {
    await this.#life;
    if (this.#failure) throw this.#failure;
  }

  /** null: it does not run. */
  get pid(): number | null {
    try {
      return this.program.hasEnded ? null : this.program.pid;
    } catch {
      return null; // not yet, or not any more
    }
  }

  /** What it said last, where it ended although nobody asked for that; null: it did not. */
  get lastWords(): string | null {
    return this.#holds === 0 && this.program.hasEnded ? this.program.output.slice(-2000) : null;
  }

  /** Asks it; rejects without an answer in time. */
  ask(path: string, init: RequestInit = {}): Promise<Response> {
    return this.program.fetch(path, { ...init, signal: AbortSignal.timeout(PATIENCE_MS) });
  }

  async get<T>(path: string): Promise<T> {
    const answer = await this.ask(path);
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return (await answer.json()) as T;
  }

  async close(): Promise<void> {
    await Promise.all([...this.toStore, this.toUs].map((link) => link.close()));
  }

  /** One after the other, however long each takes. */
  #next(step: () => Promise<unknown>): void {
    this.#life = this.#life.then(step);
  }

  async #begin(): Promise<void> {
    const deadline = performance.now() + START_MS;
    this.#failure = null;
    while (this.#holds === 0) {
      try {
        await this.program.up(this.#flags);
        return;
      } catch (error) {
        // It ended at once, since it could not reach what it needs.
        await this.program.end('SIGKILL');
        if (performance.now() > deadline) {
          this.#failure = error instanceof Error ? error : new Error(String(error));
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    }
  }

  #write(name: string, text: string): string {
    const path = join(this.program.folder, name);
    writeFileSync(path, text);
    return path;
  }
}
