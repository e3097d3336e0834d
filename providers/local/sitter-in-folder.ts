import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { z } from 'zod';
import type { ProcessTable } from '../../core/contracts/process-table.ts';
import { sitterFile } from '../../core/model/sitter-file.ts';

/** As much of the end of its log is read for a sitter's last words. */
const WORDS_BYTES = 4096;
/** What Node puts round an error that nobody caught. */
const OF_NODE = /^(Node\.js v|Emitted '.+' event )/;
const MAX_WORDS = 300;

/** The machine sitter in a machine's folder, as the files that it writes there tell of it. */
export class SitterInFolder {
  readonly log: string;
  readonly #folder: string;
  readonly #processes: ProcessTable;

  constructor(folder: string, processes: ProcessTable) {
    this.#folder = folder;
    this.#processes = processes;
    this.log = join(folder, 'sitter.log');
  }

  /** The one that runs and listens; before that its url is empty: it has the folder, but cannot be spoken to. */
  get running(): { pid: number; url: string } | undefined {
    const file = this.#living();
    return file && file.url !== '' ? { pid: file.pid, url: file.url } : undefined;
  }

  /** One has the folder and does not listen yet: an earlier daemon of ours started it. A second one would only find the folder taken. */
  get boots(): boolean {
    return this.#living()?.url === '';
  }

  /** Where one listens, or has listened. */
  get lastUrl(): string | null {
    return this.#file()?.url || null;
  }

  /** What it said to people last, behind so many bytes of its log; the log itself is in JSON, and where an error was thrown helps nobody. Empty: nothing. */
  lastWords(since: number): string {
    const lines = tailOf(this.log, since).split('\n');
    const words = lines.findLast((line) => /^[^{}\s]/.test(line) && !OF_NODE.test(line));
    return (words ?? '').slice(0, MAX_WORDS);
  }

  #living(): z.infer<typeof sitterFile> | undefined {
    const file = this.#file();
    if (!file || file.bootId !== this.#processes.bootId) return undefined;
    const info = this.#processes.read(file.pid);
    return info?.startTime === file.startTime && info.state !== 'Z' ? file : undefined;
  }

  #file(): z.infer<typeof sitterFile> | undefined {
    try {
      return sitterFile.parse(JSON.parse(readFileSync(join(this.#folder, 'sitter.json'), 'utf8')));
    } catch {
      return undefined; // not written yet, or by a sitter that was cut down while writing
    }
  }
}

/** Whole lines of a file's end, behind so many bytes; empty where it cannot be read. */
function tailOf(path: string, since: number): string {
  try {
    const file = openSync(path, 'r');
    try {
      const { size } = fstatSync(file);
      const from = Math.max(Math.min(since, size), size - WORDS_BYTES);
      const bytes = Buffer.alloc(size - from);
      const read = readSync(file, bytes, 0, bytes.length, from);
      const text = bytes.subarray(0, read).toString('utf8');
      return from <= since ? text : text.slice(text.indexOf('\n') + 1);
    } finally {
      closeSync(file);
    }
  } catch {
    return ''; // words are a help, and no more
  }
}
