import { type FSWatcher, watch } from 'node:fs';
import { Bell } from './bell.ts';
import type { OpenLog, RunLog } from './run-log.ts';

const CHUNK = 64 * 1024;
/** So far back last lines are looked for, and one that is longer is cut: nobody keeps a post-mortem for one line of a gigabyte. */
const MAX_TAIL_BYTES = 4 * 1024 * 1024;
/** How often a log is looked at that cannot be watched. */
const UNWATCHED_MS = 500;

/** The last `count` lines of a log; none where there is no file. */
export async function lastLines(log: RunLog, count: number): Promise<string[]> {
  const open = await log.open();
  if (!open) return [];
  try {
    const end = log.end() ?? 0;
    const from = await tailOffset(open, end, count);
    const buffer = Buffer.alloc(Math.min(end - from, CHUNK));
    const bytesRead = await open.read(buffer, Math.max(from, end - buffer.length));
    const lines = buffer.toString('utf8', 0, bytesRead).split('\n');
    if (lines.at(-1) === '') lines.pop();
    return lines.slice(-count);
  } finally {
    await open.close();
  }
}

/** The offset at which the last `count` lines before `end` begin; where fewer are kept or stand near enough, the first of those that is whole. */
export async function tailOffset(open: OpenLog, end: number, count: number): Promise<number> {
  if (count <= 0) return end;
  const buffer = Buffer.alloc(CHUNK);
  let to = end;
  let seen = 0;
  let first: number | null = null;
  while (to > open.log.start && end - to < MAX_TAIL_BYTES) {
    const from = Math.max(open.log.start, to - CHUNK);
    const bytesRead = await open.read(buffer.subarray(0, to - from), from);
    for (let i = bytesRead - 1; i >= 0; i--) {
      if (buffer[i] !== 10 || from + i === end - 1) continue;
      seen += 1;
      first = from + i + 1;
      if (seen === count) return first;
    }
    to = from;
  }
  // Logs are cut at blocks of the disk and read in pieces: only the run's very first byte is known to begin a line.
  return to === 0 ? 0 : (first ?? to);
}

export interface LogSource {
  /** The log of a run's stream; undefined for a run that is not kept. */
  log(run: number): RunLog | undefined;
  /** The newest run there is now. */
  newestRun(): number;
  /** The task was removed: nothing more will come. */
  gone?(): boolean;
  /** Calls back when a new run may have begun; returns how to stop. */
  onChange(listener: () => void): () => void;
}

export interface ReadOptions {
  run: number;
  /** Only the last so many lines; undefined: all. */
  tail: number | undefined;
  /** Byte to begin at, counted from the first that the run wrote; wins over `tail`. Where it is cut off, the first line after it. */
  offset: number | undefined;
  /** Go on with what is written later, and with later runs. */
  follow: boolean;
  signal: AbortSignal;
}

/** The offset at which reading begins; bytes from there on are the run's own, without a gap. */
export async function firstOffset(source: LogSource, { run, tail, offset }: ReadOptions): Promise<number> {
  const open = await source.log(run)?.open();
  if (!open) return 0;
  try {
    if (offset !== undefined && offset >= open.log.start) return offset;
    if (offset === undefined && tail !== undefined) return await tailOffset(open, open.log.end() ?? 0, tail);
    return await firstWholeLine(open);
  } finally {
    await open.close();
  }
}

/** What was read in one go: bytes of one run, without a gap in them. */
export interface LogPiece {
  run: number;
  /** Of the first byte, counted from the first that the run ever wrote. */
  offset: number;
  bytes: Buffer;
}

/** The bytes of a log, from `firstOffset` on. A reader that is slow holds up nobody: nothing is read before it is asked for. */
export async function* readLog(source: LogSource, from: number, options: ReadOptions): AsyncGenerator<Buffer> {
  let next = { run: options.run, offset: from };
  let midLine = false;
  for await (const { run, offset, bytes } of readPieces(source, from, options)) {
    const gap = run === next.run && offset !== next.offset;
    // He was overtaken by the end of what is kept: the rest of the line that he had begun is gone.
    if (midLine && gap) yield Buffer.from('\n');
    next = { run, offset: offset + bytes.length };
    midLine = bytes[bytes.length - 1] !== 10;
    yield bytes;
  }
}

/** As `readLog`, with the place of each piece. */
async function* readPieces(source: LogSource, from: number, options: ReadOptions): AsyncGenerator<LogPiece> {
  let { run } = options;
  let position = from;
  for (;;) {
    const log = source.log(run);
    if (log) yield* readRun(source, log, run, position, options);
    if (!options.follow || options.signal.aborted || source.gone?.()) return;
    if (source.newestRun() <= run) await nextChange(source, options.signal);
    else run += 1;
    position = 0;
  }
}

async function* readRun(
  source: LogSource,
  log: RunLog,
  run: number,
  from: number,
  options: ReadOptions,
): AsyncGenerator<LogPiece> {
  const open = await log.open();
  if (!open) return;
  const bell = new LogBell([log.path], source, options.follow);
  try {
    let position = from;
    await log.whole();
    // Without follow, what is there now is all: a task that writes faster than we read would never end.
    const end = options.follow ? Number.POSITIVE_INFINITY : (log.end() ?? 0);
    for (;;) {
      const superseded = source.newestRun() > run;
      // A reader that was overtaken by the end of what is kept goes on with the first whole line that is there.
      if (position < log.start) position = await firstWholeLine(open);
      // While it is cut, it looks shorter than it is; and nobody would ring for what came meanwhile.
      await log.whole();
      // As large as what is there: a line of 20 bytes for each of a thousand followers is not to take 64 MB.
      const there = Math.min(end, log.end() ?? end);
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK, Math.max(0, there - position)));
      const bytesRead = buffer.length === 0 ? 0 : await open.read(buffer, position);
      if (options.signal.aborted) return;
      if (bytesRead > 0) {
        const offset = position;
        position += bytesRead;
        yield { run, offset, bytes: buffer.subarray(0, bytesRead) };
      } else if (position >= log.start) {
        if (!options.follow || superseded) return;
        await bell.wait(options.signal);
        if (options.signal.aborted || source.gone?.()) return;
      }
    }
  } finally {
    bell.close();
    await open.close();
  }
}

/** Logs are cut at blocks of the disk, not at lines: what is left of the line that was cut through is passed over. */
export async function firstWholeLine(open: OpenLog): Promise<number> {
  for (;;) {
    const { start } = open.log;
    if (start === 0) return 0;
    const buffer = Buffer.allocUnsafe(CHUNK);
    const bytesRead = await open.read(buffer, start);
    if (start !== open.log.start) continue;
    const newline = buffer.subarray(0, bytesRead).indexOf(10);
    return newline < 0 ? start : start + newline + 1;
  }
}

export function nextChange(source: LogSource, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      off();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const off = source.onChange(done);
    signal.addEventListener('abort', done, { once: true });
  });
}

/** Rings when one of the files grew or a run began. */
export class LogBell extends Bell {
  readonly #watchers: FSWatcher[] = [];
  readonly #off: () => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `watchFile` is `fs.watch` unless a test says otherwise. */
  constructor(
    paths: readonly string[],
    source: Pick<LogSource, 'onChange'>,
    wanted: boolean,
    watchFile: typeof watch = watch,
  ) {
    super();
    if (!wanted) return;
    for (const path of paths) {
      try {
        const watcher = watchFile(path, () => this.ring());
        watcher.on('error', () => this.ring()); // the reader looks for itself then
        this.#watchers.push(watcher);
      } catch {
        // The host's inotify watches are used up (ENOSPC), or the file is gone: the reader looks now and then.
        this.#timer ??= setInterval(() => this.ring(), UNWATCHED_MS);
      }
    }
    this.#off = source.onChange(() => this.ring());
  }

  close(): void {
    clearInterval(this.#timer);
    for (const watcher of this.#watchers) watcher.close();
    this.#off();
  }
}
