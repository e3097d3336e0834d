import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../core/engine/package-root.ts';
import { freePort } from '../fakes/free-port.ts';

const BIN = join(packageRoot, 'bin', 'cerebro');
/** tap puts loaders of its own into every Node that a test starts; what is tested here is to run as it does for its users. */
const PLAIN_NODE = ['/usr/bin/env', '-u', 'NODE_OPTIONS', process.execPath] as const;
const DEADLINE_MS = 120_000;

export interface CliResult {
  code: number;
  stdout: string;
  stderr: string;
}

export interface MachineRow {
  id: string;
  zone: string;
  state: string;
  address: string | null;
  copies: { job: string; copy: string; state: string; version: number }[];
}

export interface CopyRow {
  copy: string;
  job: string;
  zone: string;
  machine: string;
  state: string;
  reason: string;
  version: number;
  task: { pid: number | null; run: number; phase: string } | null;
}

export interface EventRow {
  seq: number;
  kind: string;
  level: string;
  message: string;
  by?: string;
  job?: string;
  copy?: string;
  machine?: string;
}

/** `cerebro up` as its users have it: the built program in a process of its own, in a folder and on a port of the test's own. */
export class EmbeddedCluster {
  readonly folder = mkdtempSync(join(tmpdir(), 'cerebro-e2e-'));
  readonly dataDir = join(this.folder, 'data');
  readonly env: Record<string, string>;
  port = 0;
  output = '';
  #child: ChildProcess | null = null;
  /** Nothing of it runs: there is nothing to be stopped. */
  #isDown = false;
  /** What it was last started with: whoever stops it needs the same plugins. */
  #flags: string[] = [];

  constructor() {
    const { PATH = '', HOME = '' } = process.env;
    this.env = { PATH, HOME, XDG_CONFIG_HOME: join(this.folder, 'config') };
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get token(): string {
    return readFileSync(join(this.dataDir, 'admin.token'), 'utf8').trim();
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error('the cluster sitter was not started');
    return pid;
  }

  /** Whether it ended, by itself or by a signal, since it was started. */
  get hasEnded(): boolean {
    return this.#child !== null && (this.#child.exitCode !== null || this.#child.signalCode !== null);
  }

  async up(settings: Record<string, string> = {}): Promise<void> {
    if (this.port === 0) this.port = await freePort();
    this.output = '';
    this.#isDown = false;
    this.#flags = ['--data-dir', this.dataDir, ...Object.entries(settings).flat()];
    const flags = [...this.#flags, '--port', String(this.port)];
    const child = spawn(PLAIN_NODE[0], [...PLAIN_NODE.slice(1), BIN, ...flags, 'up'], {
      cwd: this.folder,
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.on('data', (chunk) => {
      this.output += String(chunk);
    });
    child.stderr.on('data', (chunk) => {
      this.output += String(chunk);
    });
    this.#child = child;
    await eventually(() => this.hasEnded || this.output.includes('Cerebro is up'), 'cerebro up answers');
    if (this.hasEnded) throw new Error(`cerebro up ended with ${child.exitCode ?? child.signalCode}: ${this.output}`);
  }

  /** Sends a signal to the cluster sitter and waits for its end. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (!child) return null;
    const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
    child.kill(signal);
    const code = this.hasEnded ? child.exitCode : await ended;
    this.#child = null;
    return code;
  }

  /** Has the daemon that runs stop everything, its machines too. */
  async down(): Promise<void> {
    const { code, stderr } = await this.cli(['--data-dir', this.dataDir, 'down']);
    if (code !== 0) throw new Error(`cerebro down ended with ${code}: ${stderr}`);
    this.#isDown = true;
  }

  /** Stops everything that was started, and removes its folder. */
  async remove(): Promise<void> {
    if (this.#child && this.#child.exitCode === null) await this.end('SIGKILL');
    if (existsSync(this.dataDir) && !this.#isDown)
      await this.cli([...(this.#flags.length > 0 ? this.#flags : ['--data-dir', this.dataDir]), 'down']);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 30 });
  }

  async cli(args: readonly string[], bin = BIN): Promise<CliResult> {
    return run(PLAIN_NODE[0], [...PLAIN_NODE.slice(1), bin, ...args], this.env, this.folder);
  }

  async cliJson<T>(args: readonly string[]): Promise<T> {
    const result = await this.cli([...args, '--json']);
    if (result.code !== 0) throw new Error(`cerebro ${args.join(' ')} ended with ${result.code}: ${result.stderr}`);
    return JSON.parse(result.stdout) as T;
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${this.token}`, ...init.headers },
      redirect: 'manual',
    });
  }

  async get<T>(path: string): Promise<T> {
    const response = await this.fetch(path);
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  async apply(text: string): Promise<Response> {
    return this.fetch('/api/v1/jobs?source=test.yaml', {
      method: 'POST',
      body: text,
      headers: { 'content-type': 'text/yaml' },
    });
  }

  copies(): Promise<CopyRow[]> {
    return this.get('/api/v1/copies');
  }

  machines(): Promise<MachineRow[]> {
    return this.get('/api/v1/machines');
  }

  events(): Promise<EventRow[]> {
    return this.get('/api/v1/events?since=0&limit=10000');
  }

  /** Waits until exactly `count` copies of a job are ready, and nothing of it is in any other state. Gives those copies. */
  async ready(job: string, count: number): Promise<CopyRow[]> {
    let copies: CopyRow[] = [];
    await eventually(
      async () => {
        copies = (await this.copies()).filter((copy) => copy.job === job);
        return copies.length === count && copies.every((copy) => copy.state === 'ready' && copy.task?.pid);
      },
      () =>
        `${count} copies of ${job} are ready: ${JSON.stringify(copies.map(({ copy, state, reason }) => ({ copy, state, reason })))}`,
    );
    return copies;
  }

  /** The pid of a machine's sitter. */
  sitterPid(machine: string): number {
    return JSON.parse(readFileSync(join(this.dataDir, 'machines', machine, 'sitter.json'), 'utf8')).pid;
  }
}

export function run(
  program: string,
  args: readonly string[],
  env: Record<string, string>,
  cwd: string,
): Promise<CliResult> {
  return new Promise((resolve) => {
    const child = execFile(program, args, { env, cwd, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ code: error ? (typeof error.code === 'number' ? error.code : -1) : 0, stdout, stderr });
    });
    child.stdin?.end();
  });
}

export async function eventually(
  condition: () => unknown,
  what: string | (() => string),
  deadlineMs = DEADLINE_MS,
): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    let failure: unknown = null;
    try {
      if (await condition()) return;
    } catch (error) {
      failure = error;
    }
    if (Date.now() > deadline) {
      throw new Error(
        `within ${deadlineMs / 1000} s it did not come about that ${typeof what === 'string' ? what : what()}${failure ? ` (${failure})` : ''}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
  } catch {
    return false;
  }
}
