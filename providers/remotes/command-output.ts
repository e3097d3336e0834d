import { StringDecoder } from 'node:string_decoder';
import type { RunOptions, RunResult } from '../../core/contracts/remote.ts';

/** Bytes kept of each stream, and the longest line handed on in one piece. */
export const KEPT_OUTPUT = 64 * 1024;

/** The end of what a stream said, and its lines to whoever wants them, as they come. Bounded, whatever is printed. */
export class CommandOutput {
  text = '';
  #line = '';
  readonly #stream: 'stdout' | 'stderr';
  readonly #onLine: RunOptions['onLine'];
  readonly #decoder = new StringDecoder('utf8');

  constructor(stream: 'stdout' | 'stderr', options: Pick<RunOptions, 'onLine'>) {
    this.#stream = stream;
    this.#onLine = options.onLine;
  }

  take(chunk: Buffer): void {
    this.#add(this.#decoder.write(chunk));
  }

  end(): void {
    this.#add(this.#decoder.end());
    if (this.#line !== '') this.#onLine?.(this.#stream, this.#line);
    this.#line = '';
  }

  #add(text: string): void {
    this.text = (this.text + text).slice(-KEPT_OUTPUT);
    if (!this.#onLine || text === '') return;
    const lines = (this.#line + text).split('\n');
    this.#line = (lines.pop() ?? '').slice(-KEPT_OUTPUT);
    for (const line of lines) this.#onLine(this.#stream, line);
  }
}

/** What a failed command said last, on one line, for its error. */
export function lastWords(result: Pick<RunResult, 'stdout' | 'stderr'>): string {
  const text = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-3).join(' | ');
  return text === '' ? 'it said nothing' : text.slice(-500);
}
