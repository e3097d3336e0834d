import { firstWholeLine, LogBell, nextChange, tailOffset } from '../logs/log-file.ts';
import type { OpenLog } from '../logs/run-log.ts';
import type { TaskLogs } from './task-logs.ts';

const CHUNK = 64 * 1024;
/** A longer line is handed on in pieces. */
const MAX_LINE_BYTES = 256 * 1024;

export type StreamName = 'stdout' | 'stderr';
/** Where reading goes on in each stream. */
export type LogCursor = Record<StreamName, number>;

export interface LogLine {
  run: number;
  stream: StreamName;
  /** Without its line break; as it is, where it is the last piece of a line that is still being written. */
  bytes: Buffer;
  /** Where to go on after this line, in both streams. */
  cursor: LogCursor;
  /** By when it was written, ms since the epoch, to a tenth of a second where that was noted; null: not known. */
  at: number | null;
}

export interface LineOptions {
  run: number;
  streams: readonly StreamName[];
  /** Where to begin in `run`. */
  from: LogCursor;
  /** The last run to read, where it is not followed; absent: `run`. */
  through?: number;
  follow: boolean;
  /** Whether a last line without an end is given too. */
  partial: boolean;
  /** Whether times are wanted; the lines of both streams have them anyway, since they are merged by them. */
  timed?: boolean;
  signal: AbortSignal;
}

/**
 * The lines of a task's log, a batch at a time. Two streams are merged by the times at which they grew: exact to the mark (a
 * tenth of a second while both are written), and whole lines always. A slow reader holds up nobody: nothing is read ahead.
 */
export async function* readLines(logs: TaskLogs, options: LineOptions): AsyncGenerator<LogLine[]> {
  let { run, from } = options;
  for (;;) {
    yield* readRunLines(logs, run, from, options);
    if (options.signal.aborted || (!options.follow && run >= (options.through ?? run))) return;
    if (options.follow && logs.newestRun <= run) await nextChange(logs.source('stdout'), options.signal);
    if (options.signal.aborted || logs.gone) return;
    if (logs.newestRun > run) run += 1;
    from = { stdout: 0, stderr: 0 };
  }
}

async function* readRunLines(
  logs: TaskLogs,
  run: number,
  from: LogCursor,
  { streams, follow, partial, timed, signal }: LineOptions,
): AsyncGenerator<LogLine[]> {
  const readers: LineReader[] = [];
  const cursor = { ...from };
  let bell: LogBell | null = null;
  try {
    for (const stream of streams) {
      const open = await logs.open(run, stream);
      // A run that is just being started has no files yet: whoever follows comes back for them.
      if (!open && follow && logs.newestRun <= run) return;
      if (open) readers.push(new LineReader(open, { run, stream, cursor }));
    }
    bell = new LogBell(
      readers.map(({ path }) => path),
      logs.source('stdout'),
      follow && logs.newestRun <= run,
    );
    const marks = streams.length > 1 || timed ? logs.times(run) : [];
    for (const mark of marks) {
      for (const reader of readers) yield* reader.upTo(mark[reader.stream], mark.at, signal);
      if (signal.aborted) return;
    }
    for (;;) {
      const over = logs.newestRun > run;
      const ends = readers.map((reader) => reader.end());
      // Nobody has noted the time of these yet: they are read as they are written, or the run is over.
      const at = follow && !over ? Date.now() : null;
      for (const [i, reader] of readers.entries()) yield* reader.upTo(ends[i] ?? 0, at, signal);
      if (signal.aborted || logs.gone) return;
      if (!follow || over) break;
      if (readers.every((reader, i) => reader.end() === ends[i])) await bell.wait(signal);
    }
    const over = logs.newestRun > run;
    if (partial || over) for (const reader of readers) yield* reader.rest();
  } finally {
    bell?.close();
    for (const reader of readers) await reader.close();
  }
}

/** Cuts one stream of one run into lines. */
class LineReader {
  readonly stream: StreamName;
  readonly #open: OpenLog;
  readonly #run: number;
  /** Shared by the readers of a run: where each stream's next line begins. */
  readonly #cursor: LogCursor;
  #position: number;
  #partial: Buffer = Buffer.alloc(0);
  #at: number | null = null;

  constructor(open: OpenLog, { run, stream, cursor }: { run: number; stream: StreamName; cursor: LogCursor }) {
    this.#open = open;
    this.#run = run;
    this.stream = stream;
    this.#cursor = cursor;
    this.#position = cursor[stream];
  }

  get path(): string {
    return this.#open.log.path;
  }

  end(): number {
    return this.#open.log.end() ?? this.#position;
  }

  /** The lines that end before `limit`, all of which was written by `at`. */
  async *upTo(limit: number, at: number | null, signal: AbortSignal): AsyncGenerator<LogLine[]> {
    this.#at = at;
    while (this.#position < limit && !signal.aborted) {
      if (this.#position < this.#open.log.start) {
        // Overtaken by the end of what is kept: the rest of a line that was begun is gone.
        this.#position = await firstWholeLine(this.#open);
        this.#partial = Buffer.alloc(0);
        this.#cursor[this.stream] = this.#position;
        continue;
      }
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK, limit - this.#position));
      const bytesRead = await this.#open.read(buffer, this.#position);
      if (bytesRead === 0 && this.#position >= this.#open.log.start) return;
      this.#position += bytesRead;
      const lines = this.#cut(buffer.subarray(0, bytesRead));
      if (lines.length > 0) yield lines;
    }
  }

  /** What is left when no more comes: a last line without an end. */
  *rest(): Generator<LogLine[]> {
    if (this.#partial.length > 0) yield [this.#line(this.#partial, this.#partial.length)];
    this.#partial = Buffer.alloc(0);
  }

  close(): Promise<void> {
    return this.#open.close();
  }

  #cut(chunk: Buffer): LogLine[] {
    const lines: LogLine[] = [];
    let bytes = this.#partial.length > 0 ? Buffer.concat([this.#partial, chunk]) : chunk;
    for (let newline = bytes.indexOf(10); newline >= 0; newline = bytes.indexOf(10)) {
      lines.push(this.#line(bytes.subarray(0, newline), newline + 1));
      bytes = bytes.subarray(newline + 1);
    }
    if (bytes.length > MAX_LINE_BYTES) {
      lines.push(this.#line(bytes, bytes.length));
      bytes = Buffer.alloc(0);
    }
    this.#partial = bytes;
    return lines;
  }

  #line(bytes: Buffer, length: number): LogLine {
    this.#cursor[this.stream] += length;
    return { run: this.#run, stream: this.stream, bytes, cursor: { ...this.#cursor }, at: this.#at };
  }
}

/** Where a reader begins who wants the last `count` lines of each stream; `undefined`: all that is kept. */
export async function firstCursor(
  logs: TaskLogs,
  run: number,
  streams: readonly StreamName[],
  count: number | undefined,
): Promise<LogCursor> {
  const cursor = { stdout: 0, stderr: 0 };
  for (const stream of streams) {
    const open = await logs.log(run, stream)?.open();
    if (!open) continue;
    try {
      const end = open.log.end() ?? 0;
      cursor[stream] = count === undefined ? await firstWholeLine(open) : await tailOffset(open, end, count);
    } finally {
      await open.close();
    }
  }
  return cursor;
}
