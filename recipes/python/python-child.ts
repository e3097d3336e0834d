import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { CerebroError, messageOf, systemCode } from '../../core/errors.ts';
import { LineSplitter } from './line-splitter.ts';

/** The Python package that recipes import; not compiled, so it lies with the sources in either case. */
const LIBRARY = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './lib' : '../../../recipes/python/lib', import.meta.url),
);
const LINE_CHARS = 8 * 1024 * 1024;
const PRINTED_CHARS = 4096;
const STDERR_CHARS = 16 * 1024;

export interface PythonEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** The end of what it said on standard error. */
  stderr: string;
}

export interface PythonChildOptions {
  python: string;
  /** Absolute folders for `import`, after our own. */
  path: readonly string[];
  /** Of `python3 -m cerebro.MODULE`. */
  module: string;
  args: readonly string[];
  /** Lines of JSON that it writes to us. */
  onMessage(line: string): void;
  /** What it prints. */
  onPrint(stream: 'stdout' | 'stderr', line: string): void;
}

/** A Python program of ours, in a process group of its own. We write to its descriptor 3 and hear from its descriptor 4. */
export class PythonChild {
  /** Rejects with `unsupported` when there is no such Python. */
  readonly ended: Promise<PythonEnd>;
  readonly #child: ChildProcess;
  readonly #input: Writable;

  constructor(options: PythonChildOptions) {
    const { python, path, module, args } = options;
    const child = spawn(python, ['-u', '-m', `cerebro.${module}`, ...args], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
      // Nothing else of the daemon's environment: it may hold secrets.
      env: {
        PATH: process.env.PATH ?? '/usr/bin:/bin',
        HOME: process.env.HOME ?? '/',
        LANG: process.env.LANG ?? 'C.UTF-8',
        PYTHONPATH: [LIBRARY, ...path].join(':'),
        PYTHONIOENCODING: 'utf-8:replace',
        PYTHONDONTWRITEBYTECODE: '1',
      },
      cwd: path[0] ?? LIBRARY,
    });
    this.#child = child;
    this.#input = child.stdio[3] as Writable;
    this.#input.on('error', () => undefined); // it has ended: `ended` says how
    let stderr = '';
    const printed = (stream: 'stdout' | 'stderr'): LineSplitter =>
      new LineSplitter(PRINTED_CHARS, (line) => {
        if (stream === 'stderr') stderr = `${stderr}${line}\n`.slice(-STDERR_CHARS);
        options.onPrint(stream, line);
      });
    const streams: [Readable, LineSplitter][] = [
      [child.stdio[1] as Readable, printed('stdout')],
      [child.stdio[2] as Readable, printed('stderr')],
      [child.stdio[4] as Readable, new LineSplitter(LINE_CHARS, options.onMessage)],
    ];
    for (const [stream, splitter] of streams) stream.on('data', (chunk: Buffer) => splitter.take(chunk));
    this.ended = new Promise((resolve, reject) => {
      child.once('error', (error) => {
        const missing =
          systemCode(error) === 'ENOENT' ? `there is no "${python}" (or no folder ${path[0]})` : messageOf(error);
        reject(
          new CerebroError(
            'unsupported',
            `Python could not be started: ${missing}; recipes in Python need Python 3.9 or later`,
          ),
        );
      });
      child.once('close', (code, signal) => {
        for (const [, splitter] of streams) splitter.end();
        resolve({ code, signal, stderr });
      });
    });
  }

  send(message: unknown): void {
    if (this.#input.writable) this.#input.write(`${JSON.stringify(message)}\n`);
  }

  /** Ends it with all that it started. */
  kill(): void {
    try {
      if (this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      // it has ended
    }
  }
}
