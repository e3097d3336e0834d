import { createHash } from 'node:crypto';
import { closeSync, constants, openSync, readFileSync, readSync, statSync, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { z } from 'zod';
import { CerebroError, messageOf, systemCode } from '../../errors.ts';
import type { LogMethod } from '../../model/task.ts';
import { blockSize, copyTruncate, cutHead } from './log-cut.ts';

const position = z.object({
  /** The first byte that is kept, counted from the first that the run ever wrote. */
  start: z.number().int().min(0),
  /** How many bytes lie no longer in the file, before its first. */
  shift: z.number().int().min(0),
  lost: z.number().int().min(0),
  /** A collapse that was begun: how it can be told afterwards whether it was done. */
  cutting: z.object({ bytes: z.number().int(), head: z.string(), next: z.string() }).nullable(),
});
type Position = z.infer<typeof position>;

const FROM_THE_BEGINNING: Position = { start: 0, shift: 0, lost: 0, cutting: null };
/** The position's file always has this length and is overwritten in place: that takes no room on a full disk. */
const POSITION_BYTES = 512;

/**
 * One stream of one run, as a file whose head is taken off while the task appends to it. Offsets are counted from the first
 * byte that the run ever wrote, so they stay good whatever is cut off.
 */
export class RunLog {
  readonly path: string;
  readonly #positionPath: string;
  #position: Position;
  #cutting: Promise<void> | null = null;
  /** Where it ended when a collapse was begun: until that is taken in, the file looks shorter than it is. */
  #leastEnd = 0;
  /** Grows with every cut, so that a read during one is known for what it is. */
  #generation = 0;

  /** `positionPath`: where it is kept what was cut off. */
  constructor(path: string, positionPath: string) {
    this.path = path;
    this.#positionPath = positionPath;
    this.#position = this.#load();
  }

  /** The first byte that is kept. */
  get start(): number {
    return this.#position.start;
  }

  /** What is no longer kept, and is still in the file as a hole. */
  get holeBytes(): number {
    return this.#position.start - this.#position.shift;
  }

  get lost(): number {
    return this.#position.lost;
  }

  /** Where the next byte will be; undefined where there is no file, or something else in its place. */
  end(): number | undefined {
    try {
      const stat = statSync(this.path);
      return stat.isFile() ? Math.max(stat.size + this.#position.shift, this.#leastEnd) : undefined;
    } catch {
      return undefined; // whoever opens it is told what is the matter
    }
  }

  /** undefined: there is no file. Throws `not_found` for one that is there and cannot be read. */
  async open(): Promise<OpenLog | undefined> {
    try {
      // Where a pipe was put in its place, this does not wait for somebody to write into it.
      const handle = await open(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
      if ((await handle.stat()).isFile()) return new OpenLog(handle, this);
      await handle.close();
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw new CerebroError('not_found', `the log ${this.path} cannot be read: ${messageOf(error)}`);
    }
    throw new CerebroError('not_found', `the log ${this.path} cannot be read: it is no file`);
  }

  /** Takes `bytes` more off the head; `collapse` does away with the holes before them, too. One at a time; readers wait, the task does not. */
  async cut(bytes: number, method: LogMethod): Promise<void> {
    await this.whole();
    this.#generation += 1;
    this.#cutting = this.#cut(bytes, method).finally(() => {
      this.#generation += 1;
      this.#cutting = null;
    });
    await this.#cutting;
  }

  /** Reads at an offset that may have been cut off: then 0 bytes come, and `start` says where there is something. */
  async read(handle: FileHandle, buffer: Buffer, offset: number): Promise<number> {
    for (;;) {
      await this.whole();
      const generation = this.#generation;
      const at = offset - this.#position.shift;
      if (offset < this.#position.start) return 0;
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
      // What was read while the file moved may be from anywhere.
      if (generation === this.#generation) return bytesRead;
    }
  }

  /** Resolves when nobody cuts. What becomes of a cut is told to who asked for it. */
  async whole(): Promise<void> {
    while (this.#cutting) await this.#cutting.catch(() => undefined);
  }

  async #cut(bytes: number, method: LogMethod): Promise<void> {
    const { start, shift, lost } = this.#position;
    if (method === 'collapse') {
      const block = await blockSize(this.path);
      const all = Math.floor((start - shift + bytes) / block) * block;
      if (all === 0) return;
      const cutting = { bytes: all, head: hashAt(this.path, 0), next: hashAt(this.path, all) };
      // Without that word on disk a crash in between would be a riddle; so on a full disk this throws, and holes are made instead.
      this.#save({ ...this.#position, cutting });
      this.#leastEnd = this.end() ?? 0;
      await cutHead(this.path, 'collapse', 0, all).finally(() => {
        this.#leastEnd = 0;
      });
      this.#move({ start: Math.max(start, shift + all), shift: shift + all, lost, cutting: null });
    } else if (method === 'punch') {
      // First the word, then the deed: what is called cut off may still be there, but never the other way round.
      const from = start - shift;
      this.#move({ start: start + bytes, shift, lost, cutting: null });
      const block = await blockSize(this.path);
      await cutHead(this.path, 'punch', Math.floor(from / block) * block, Math.floor((from + bytes) / block) * block);
    } else if (method === 'copytruncate') {
      const { copied, lost: gone } = await copyTruncate(this.path);
      const end = shift + copied + gone;
      this.#move({ start: end, shift: end, lost: lost + gone, cutting: null });
    }
  }

  #move(to: Position): void {
    this.#position = to;
    try {
      this.#save(to);
    } catch (error) {
      // Its room comes back with what is being cut off; the next cut says it again.
      if (!['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? '')) throw error;
    }
  }

  #load(): Position {
    let found: Position;
    try {
      found = position.parse(JSON.parse(readFileSync(this.#positionPath, 'utf8')));
    } catch {
      return FROM_THE_BEGINNING; // nothing was ever cut off
    }
    const { cutting, shift, start } = found;
    if (!cutting) return found;
    const settled = { ...found, cutting: null };
    return this.#wasCut(cutting)
      ? { ...settled, start: Math.max(start, shift + cutting.bytes), shift: shift + cutting.bytes }
      : settled;
  }

  /** Whether a collapse was done before we were killed. */
  #wasCut({ head, next }: NonNullable<Position['cutting']>): boolean {
    // Of a log of one line over and over nothing can be told; but fallocate outlives us, so it was most likely done.
    return head === next || hashAt(this.path, 0) === next;
  }

  #save(to: Position): void {
    const fd = openSync(this.#positionPath, 'a+', 0o640);
    closeSync(fd);
    const file = openSync(this.#positionPath, 'r+');
    try {
      writeSync(file, JSON.stringify(to).padEnd(POSITION_BYTES), 0);
    } finally {
      closeSync(file);
    }
  }
}

/** A log that is being read. */
export class OpenLog {
  readonly log: RunLog;
  readonly #handle: FileHandle;

  constructor(handle: FileHandle, log: RunLog) {
    this.#handle = handle;
    this.log = log;
  }

  async end(): Promise<number> {
    await this.log.whole();
    return this.log.end() ?? this.log.start;
  }

  read(buffer: Buffer, offset: number): Promise<number> {
    return this.log.read(this.#handle, buffer, offset);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** A fingerprint of the 4 KiB at an offset; of what there is, where there is less. */
function hashAt(path: string, offset: number): string {
  const file = openSync(path, 'r');
  try {
    const block = Buffer.alloc(4096);
    const length = readSync(file, block, 0, block.length, offset);
    return createHash('sha256').update(block.subarray(0, length)).digest('hex').slice(0, 32);
  } finally {
    closeSync(file);
  }
}
