import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const BIN = fileURLToPath(new URL('../bin/', import.meta.url));

let interrupted = false;

/**
 * Runs a benchmark in a temporary folder, which is removed afterwards however it ends. Ctrl-C makes the next wait throw,
 * so that everything that was started is ended on the way out.
 */
export async function inFolder<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-bench-'));
  const interrupt = (): void => {
    interrupted = true;
  };
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  try {
    return await body(folder);
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
    rmSync(folder, { recursive: true, force: true });
  }
}

export function pause(ms: number): Promise<void> {
  if (interrupted) throw new Error('interrupted');
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Looks every `everyMs` until `look` finds something. Throws when there is nothing after `deadlineMs`. */
export async function until<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  everyMs = 5,
  deadlineMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${deadlineMs / 1000} s`);
    await pause(everyMs);
  }
}

/** A port that was free a moment ago. */
/** A daemon of the compiled program, in a process of its own. */
export class BenchDaemon {
  readonly child: ChildProcess;
  readonly dataDir: string;
  #url = '';
  #output = '';

  /** `program` is one of `bin/`; `dataDir` must be new. */
  constructor(program: string, args: readonly string[], dataDir: string, env: NodeJS.ProcessEnv) {
    this.dataDir = dataDir;
    this.child = spawn(process.execPath, [join(BIN, program), '--data-dir', dataDir, ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      // In a session of its own, as daemons are.
      detached: true,
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-5000);
      });
    }
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  get url(): string {
    return this.#url;
  }

  /** Resolves as soon as the daemon has announced where it listens, which it does when it is ready. */
  async ready(): Promise<void> {
    const file = join(this.dataDir, 'sitter.json');
    this.#url = await until('the daemon', () => {
      if (this.ended) throw new Error(`the daemon ended before it was ready:\n${this.#output}`);
      if (!existsSync(file)) return undefined;
      const { url } = JSON.parse(readFileSync(file, 'utf8')) as { url: string };
      return url === '' ? undefined : url;
    });
  }

  /** A call with the admin token. Throws what the daemon says when it refuses. */
  async call(method: string, path: string, body?: { text: string; type: string }): Promise<unknown> {
    const token = readFileSync(join(this.dataDir, 'admin.token'), 'utf8').trim();
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': body.type }) },
      ...(body && { body: body.text }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  }

  callJson(method: string, path: string, body: unknown): Promise<unknown> {
    return this.call(method, path, { text: JSON.stringify(body), type: 'application/json' });
  }

  /** Waits for the daemon's end; one that does not come within `deadlineMs` is brought about. */
  async end(deadlineMs: number): Promise<void> {
    const deadline = performance.now() + deadlineMs;
    while (!this.ended && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
    if (!this.ended) this.child.kill('SIGKILL');
  }
}
