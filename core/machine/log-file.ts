import { type FSWatcher, watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { systemCode } from '../errors.ts';

const CHUNK = 64 * 1024;
/** A last line longer than this is cut: nobody keeps a post-mortem for one line of a gigabyte. */
const MAX_TAIL_BYTES = 4 * 1024 * 1024;

/** The last `count` lines of a file; none where there is no file. */
export async function lastLines(path: string, count: number): Promise<string[]> {
  const handle = await openLog(path);
  if (!handle) return [];
  try {
    const { size } = await handle.stat();
    const from = await tailOffset(handle, size, count);
    const buffer = Buffer.alloc(Math.min(size - from, CHUNK));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, Math.max(from, size - buffer.length));
    const lines = buffer.toString('utf8', 0, bytesRead).split('\n');
    if (lines.at(-1) === '') lines.pop();
    return lines.slice(-count);
  } finally {
    await handle.close();
  }
}

/** The byte at which the last `count` lines of a file of `size` bytes begin. */
export async function tailOffset(handle: FileHandle, size: number, count: number): Promise<number> {
  if (count <= 0) return size;
  const buffer = Buffer.alloc(CHUNK);
  let end = size;
  let seen = 0;
  while (end > 0 && size - end < MAX_TAIL_BYTES) {
    const start = Math.max(0, end - CHUNK);
    const { bytesRead } = await handle.read(buffer, 0, end - start, start);
    for (let i = bytesRead - 1; i >= 0; i--) {
      if (buffer[i] !== 10 || start + i === size - 1) continue;
      seen += 1;
      if (seen === count) return start + i + 1;
    }
    end = start;
  }
  return end;
}

async function openLog(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export interface LogSource {
  /** The file of a run's stream. */
  path(run: number): string | undefined;
  /** The newest run there is now. */
  newestRun(): number;
  /** Calls back when a new run may have begun; returns how to stop. */
  onChange(listener: () => void): () => void;
}

export interface ReadOptions {
  run: number;
  /** Only the last so many lines; undefined: all. */
  tail: number | undefined;
  /** Byte to begin at; wins over `tail`. */
  offset: number | undefined;
  /** Go on with what is written later, and with later runs. */
  follow: boolean;
  signal: AbortSignal;
}

/** The bytes of a log. A reader that is slow holds up nobody: nothing is read before it is asked for. */
export async function* readLog(source: LogSource, options: ReadOptions): AsyncGenerator<Buffer> {
  let { run, tail, offset } = options;
  for (;;) {
    const path = source.path(run);
    if (path !== undefined) yield* readRun(source, path, run, { ...options, tail, offset });
    if (!options.follow || options.signal.aborted) return;
    if (source.newestRun() <= run) await nextChange(source, options.signal);
    else run += 1;
    tail = undefined;
    offset = undefined;
  }
}

async function* readRun(source: LogSource, path: string, run: number, options: ReadOptions): AsyncGenerator<Buffer> {
  const handle = await openLog(path);
  if (!handle) return;
  const bell = new Bell(path, source, options.follow);
  try {
    const { size } = await handle.stat();
    let position = options.offset ?? (options.tail === undefined ? 0 : await tailOffset(handle, size, options.tail));
    // Without follow, what is there now is all: a task that writes faster than we read would never end.
    const end = options.follow ? Number.POSITIVE_INFINITY : size;
    for (;;) {
      const superseded = source.newestRun() > run;
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK, Math.max(0, end - position)));
      const { bytesRead } =
        buffer.length === 0 ? { bytesRead: 0 } : await handle.read(buffer, 0, buffer.length, position);
      if (options.signal.aborted) return;
      if (bytesRead > 0) {
        position += bytesRead;
        yield buffer.subarray(0, bytesRead);
      } else if (!options.follow || superseded) {
        return;
      } else {
        await bell.wait(options.signal);
        if (options.signal.aborted) return;
      }
    }
  } finally {
    bell.close();
    await handle.close();
  }
}

function nextChange(source: LogSource, signal: AbortSignal): Promise<void> {
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

/** Rings when a file grew or a run began. A ring between two waits is not lost. */
class Bell {
  #rung = false;
  #resolve: (() => void) | null = null;
  readonly #watcher: FSWatcher | null = null;
  readonly #off: () => void = () => undefined;

  constructor(path: string, source: LogSource, wanted: boolean) {
    if (!wanted) return;
    this.#watcher = watch(path, () => this.#ring());
    this.#watcher.on('error', () => this.#ring()); // the reader looks for itself then
    this.#off = source.onChange(() => this.#ring());
  }

  #ring(): void {
    this.#rung = true;
    this.#resolve?.();
  }

  async wait(signal: AbortSignal): Promise<void> {
    if (!this.#rung && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          signal.removeEventListener('abort', done);
          this.#resolve = null;
          resolve();
        };
        this.#resolve = done;
        signal.addEventListener('abort', done, { once: true });
      });
    }
    this.#rung = false;
  }

  close(): void {
    this.#watcher?.close();
    this.#off();
  }
}
