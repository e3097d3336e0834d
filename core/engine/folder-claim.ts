import { createHash } from 'node:crypto';
import { linkSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { ProcessTable } from '../contracts/process-table.ts';
import { CerebroError, systemCode } from '../errors.ts';
import { type SitterFile, sitterFile } from '../model/sitter-file.ts';

/** Each try after the first means that another daemon came first and went again. */
const TRIES = 10;
const HEIR = '.heir';

/**
 * The file that names the one daemon of a data folder, taken over from one that is gone so that of many that try at the same moment
 * one gets it. No file can be replaced only as long as it holds what was read, so whoever is to follow a daemon first makes another
 * file, which is named after what is in that one's: only one process can. Who died in between has an heir in the same way.
 */
export class FolderClaim {
  readonly #file: string;
  readonly #processes: Pick<ProcessTable, 'bootId' | 'read'>;

  constructor(file: string, processes: Pick<ProcessTable, 'bootId' | 'read'>) {
    this.#file = file;
    this.#processes = processes;
  }

  /** Throws `conflict` while another daemon has it, or is taking it. */
  take(self: SitterFile): void {
    const mine = `${this.#file}.${self.pid}.new`;
    try {
      writeFileSync(mine, JSON.stringify(self), { mode: 0o600 });
      for (let attempt = 0; attempt < TRIES; attempt++) if (this.#attempt(mine)) return;
    } catch (error) {
      if (systemCode(error) !== 'ENOSPC') throw error;
      const folder = dirname(this.#file);
      const message = `the disk under ${folder} is full, and there is no room for the file that says whose it is: make room and start again`;
      throw new CerebroError('no_space', message, { cause: error });
    } finally {
      rmSync(mine, { force: true });
    }
    throw new CerebroError('conflict', `${dirname(this.#file)} is being taken by other daemons again and again`);
  }

  /** The living daemon that has it. */
  holder(): SitterFile | undefined {
    const text = read(this.#file);
    return text === undefined ? undefined : this.#alive(text);
  }

  /** false: another was quicker. It is looked at once more who that is. */
  #attempt(mine: string): boolean {
    const last = read(this.#file);
    if (last === undefined) return link(mine, this.#file);
    this.#refuse(last);
    let heir = this.#heirOf(last);
    for (let text = read(heir); text !== undefined; text = read(heir)) {
      this.#refuse(text);
      heir = this.#heirOf(text);
    }
    if (!link(mine, heir)) return false;
    // Who came late to a daemon that has been followed already is nobody's heir.
    if (read(this.#file) !== last) {
      rmSync(heir, { force: true });
      return false;
    }
    renameSync(mine, this.#file);
    // From here on nobody follows anybody but us.
    for (const name of readdirSync(dirname(this.#file)))
      if (name.startsWith(basename(this.#file)) && name.endsWith(HEIR))
        rmSync(join(dirname(this.#file), name), { force: true });
    return true;
  }

  #refuse(text: string): void {
    const holder = this.#alive(text);
    if (!holder) return;
    const where = `pid ${holder.pid}${holder.url === '' ? '' : `, at ${holder.url}`}`;
    throw new CerebroError('conflict', `${dirname(this.#file)} is in use by a daemon already (${where})`);
  }

  #heirOf(text: string): string {
    return `${this.#file}.${createHash('sha256').update(text).digest('hex').slice(0, 16)}${HEIR}`;
  }

  #alive(text: string): SitterFile | undefined {
    let file: SitterFile;
    try {
      file = sitterFile.parse(JSON.parse(text));
    } catch {
      return undefined; // cut off while it was written: by nobody who lives
    }
    if (file.bootId !== this.#processes.bootId) return undefined;
    const info = this.#processes.read(file.pid);
    return info?.startTime === file.startTime && info.state !== 'Z' ? file : undefined;
  }
}

/** undefined: it is not there. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** false: there is such a file already. */
function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}
