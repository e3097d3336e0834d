import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { chmod, copyFile, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import type { Remote, RunOptions, RunResult } from '../../core/contracts/remote.ts';
import { CerebroError, systemCode } from '../../core/errors.ts';

const KEPT_OUTPUT = 64 * 1024;
const DEFAULT_TIMEOUT_S = 600;

/** Hands on a local machine: commands run on this host, in the machine's own folder, with its mark in their environment. */
export class LocalRemote implements Remote {
  readonly #folder: string;
  readonly #env: Record<string, string>;
  readonly #running = new Set<() => void>();

  constructor(folder: string, env: Record<string, string>) {
    this.#folder = folder;
    this.#env = env;
  }

  run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const [program, ...args] = argv;
    if (program === undefined) throw new CerebroError('invalid', 'run: the list of arguments is empty');
    return new Promise((resolve, reject) => {
      const child = spawn(program, args, {
        cwd: options.cwd === undefined ? this.#folder : this.#path(options.cwd),
        env: {
          PATH: process.env.PATH ?? '/usr/bin:/bin',
          HOME: this.#folder,
          LANG: process.env.LANG ?? 'C',
          ...options.env,
          ...this.#env,
        },
        detached: true,
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      const output = { stdout: new Output('stdout', options), stderr: new Output('stderr', options) };
      child.stdout.on('data', (chunk: Buffer) => output.stdout.take(chunk));
      child.stderr.on('data', (chunk: Buffer) => output.stderr.take(chunk));
      child.stdin.on('error', () => undefined); // a command need not read what it is given
      child.stdin.end(options.input ?? '');
      let late = false;
      const killGroup = (): void => {
        try {
          if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
        } catch {
          // it has ended
        }
      };
      const timeout = options.timeout ?? DEFAULT_TIMEOUT_S;
      const timer = setTimeout(() => {
        late = true;
        killGroup();
      }, timeout * 1000);
      this.#running.add(killGroup);
      const over = (): void => {
        clearTimeout(timer);
        this.#running.delete(killGroup);
      };
      child.once('error', (error) => {
        over();
        const missing =
          systemCode(error) === 'ENOENT'
            ? `there is no program "${program}" (or no folder to run it in)`
            : error.message;
        reject(new CerebroError('invalid', `${program} could not be started: ${missing}`));
      });
      child.once('close', (code, signal) => {
        over();
        output.stdout.end();
        output.stderr.end();
        const result = { code: code ?? 128, stdout: output.stdout.text, stderr: output.stderr.text };
        if (late) reject(new CerebroError('timeout', `${program} did not end within ${timeout} s and was killed`));
        else if (result.code === 0 || (options.allowFailure && signal === null)) resolve(result);
        else
          reject(
            new CerebroError(
              'invalid',
              `${program} ${signal ? `was ended by ${signal}` : `exited with code ${code}`}: ${lastWords(result)}`,
            ),
          );
      });
    });
  }

  sudo(argv: readonly string[], options?: RunOptions): Promise<RunResult> {
    return process.getuid?.() === 0 ? this.run(argv, options) : this.run(['sudo', '-n', '--', ...argv], options);
  }

  async put(localPath: string, remotePath: string, options: { mode?: number } = {}): Promise<boolean> {
    const target = this.#path(remotePath);
    const mode = options.mode ?? (await stat(localPath)).mode & 0o777;
    if (await sameFile(localPath, target, mode)) return false;
    await mkdir(dirname(target), { recursive: true });
    const part = partOf(target);
    await copyFile(localPath, part);
    await chmod(part, mode);
    await rename(part, target);
    return true;
  }

  async write(text: string, remotePath: string, options: { mode?: number } = {}): Promise<void> {
    const target = this.#path(remotePath);
    await mkdir(dirname(target), { recursive: true });
    const part = partOf(target);
    await writeFile(part, text, { mode: options.mode ?? 0o644 });
    await rename(part, target);
  }

  async get(remotePath: string, localPath: string): Promise<void> {
    await copyFile(this.#path(remotePath), localPath);
  }

  async close(): Promise<void> {
    for (const kill of this.#running) kill();
    this.#running.clear();
  }

  /** A relative path is in the machine's folder, as on a real machine it would be in the user's home. */
  #path(path: string): string {
    return isAbsolute(path) ? path : join(this.#folder, path);
  }
}

/** The end of what a stream said, and its lines to whoever wants them. */
class Output {
  text = '';
  #line = '';
  readonly #stream: 'stdout' | 'stderr';
  readonly #onLine: RunOptions['onLine'];

  constructor(stream: 'stdout' | 'stderr', options: RunOptions) {
    this.#stream = stream;
    this.#onLine = options.onLine;
  }

  take(chunk: Buffer): void {
    const text = chunk.toString('utf8');
    this.text = (this.text + text).slice(-KEPT_OUTPUT);
    if (!this.#onLine) return;
    const lines = (this.#line + text).split('\n');
    this.#line = (lines.pop() ?? '').slice(-KEPT_OUTPUT);
    for (const line of lines) this.#onLine(this.#stream, line);
  }

  end(): void {
    if (this.#line !== '') this.#onLine?.(this.#stream, this.#line);
  }
}

/** A name of its own for each transfer: two may write the same file at once, and the last one wins whole. */
function partOf(path: string): string {
  return `${path}.${randomUUID().slice(0, 8)}.part`;
}

function lastWords(result: RunResult): string {
  const text = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-3).join(' | ');
  return text === '' ? 'it said nothing' : text.slice(0, 500);
}

async function sameFile(a: string, b: string, mode: number): Promise<boolean> {
  try {
    if (((await stat(b)).mode & 0o777) !== mode) return false;
    return (await hash(a)).equals(await hash(b));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}

async function hash(path: string): Promise<Buffer> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest();
}
