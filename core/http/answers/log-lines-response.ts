import type { LinePattern } from '../../decide/read/line-pattern.ts';
import { type LineOptions, type LogLine, readLines } from '../../machine/task/log-lines.ts';
import type { TaskLogs } from '../../machine/task/task-logs.ts';
import { linesThatFit } from './lines-that-fit.ts';

/** Of the last lines so many are kept in memory until all were looked through, and so many bytes. */
const MAX_TAIL_LINES = 10_000;
const MAX_TAIL_BYTES = 8 * 1024 * 1024;

const BEAT_MS = 15_000;

/** The wanted lines of a log: those that fit `pattern`, and of what is there already only the last `tail`. */
export async function* wantedLines(
  logs: TaskLogs,
  options: LineOptions,
  { pattern, tail }: { pattern: LinePattern | null; tail: number | undefined },
): AsyncGenerator<LogLine[]> {
  const wanted = async (lines: LogLine[]): Promise<LogLine[]> =>
    pattern ? await linesThatFit(lines, pattern, options.signal) : lines;
  let { run, from } = options;
  if (tail !== undefined) {
    const last = new LastLines(tail);
    for await (const lines of readLines(logs, { ...options, follow: false, partial: !options.follow })) {
      for (const line of await wanted(lines)) last.push(line);
      const end = lines.at(-1);
      if (end) ({ run, cursor: from } = end);
    }
    if (last.lines.length > 0) yield last.lines;
    if (!options.follow || options.signal.aborted) return;
  }
  for await (const lines of readLines(logs, { ...options, run, from, partial: !options.follow })) {
    const some = await wanted(lines);
    // An empty batch too: whoever counts the time without a line may say that he is there.
    yield some;
  }
}

/** The lines as text. Koa stops asking when the reader does not take any. */
export async function* asText(batches: AsyncIterable<LogLine[]>): AsyncGenerator<Buffer> {
  const newline = Buffer.from('\n');
  for await (const lines of batches)
    if (lines.length > 0) yield Buffer.concat(lines.flatMap(({ bytes }) => [bytes, newline]));
}

/** The lines as server-sent events; the id of each is the cursor with which to go on after it. */
export async function* asEvents(batches: AsyncGenerator<LogLine[]>, signal: AbortSignal): AsyncGenerator<string> {
  yield 'retry: 1000\n\n';
  let next = batches.next();
  try {
    while (!signal.aborted) {
      const result = await orBeat(next);
      if (result === 'beat') {
        yield ':\n\n';
        continue;
      }
      if (result.done) return;
      if (result.value.length > 0) yield result.value.map(asEvent).join('');
      next = batches.next();
    }
  } finally {
    // Resolves only once its wait is over, which the same signal ends.
    next.catch(() => undefined);
    await batches.return(undefined);
  }
}

function orBeat<T>(next: Promise<T>): Promise<T | 'beat'> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve('beat'), BEAT_MS);
    next.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function asEvent({ run, stream, bytes, cursor, at }: LogLine): string {
  const data = JSON.stringify({ run, stream, line: bytes.toString('utf8'), ...(at !== null && { at }) });
  return `id: ${run}:${cursor.stdout},${cursor.stderr}\ndata: ${data}\n\n`;
}

class LastLines {
  readonly #most: number;
  #lines: LogLine[] = [];
  #bytes = 0;

  constructor(most: number) {
    this.#most = Math.min(most, MAX_TAIL_LINES);
  }

  get lines(): LogLine[] {
    return this.#lines.slice(-this.#most || this.#lines.length);
  }

  push(line: LogLine): void {
    if (this.#most === 0) return;
    // A copy: the line itself would keep the whole piece that was read.
    const kept = { ...line, bytes: Buffer.from(line.bytes) };
    this.#lines.push(kept);
    this.#bytes += kept.bytes.length;
    const tooMany = this.#lines.length > this.#most * 2;
    if (!tooMany && this.#bytes <= MAX_TAIL_BYTES) return;
    if (tooMany) this.#lines = this.#lines.slice(-this.#most);
    while (this.#bytes > MAX_TAIL_BYTES && this.#lines.length > 1 && !tooMany)
      this.#bytes -= this.#lines.shift()?.bytes.length ?? 0;
    if (tooMany) this.#bytes = this.#lines.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }
}
