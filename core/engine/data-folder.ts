import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProcessTable } from '../contracts/process-table.ts';
import { CerebroError, messageOf, systemCode } from '../errors.ts';
import type { Access } from '../model/access.ts';
import { type SitterFile, sitterFile } from '../model/sitter-file.ts';
import { checkFormat, noteFormat } from './data-format.ts';
import { packageVersion } from './package-root.ts';

/** A daemon's data folder: who has it, and the secrets in it. */
export class DataFolder {
  readonly path: string;
  readonly #processes: ProcessTable;

  constructor(path: string, processes: ProcessTable) {
    this.path = path;
    this.#processes = processes;
  }

  /** Makes the folder, for its owner alone, unless it is there. */
  make(): void {
    try {
      mkdirSync(this.path, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw new CerebroError('unavailable', `the data folder ${this.path} cannot be made: ${messageOf(error)}`);
    }
  }

  /** Makes the folder ours. Throws `conflict` when another daemon has it, `unsupported` when it is of a newer program. */
  take(mode: SitterFile['mode']): void {
    this.make();
    checkFormat(this.path);
    const mine = join(this.path, `sitter.${process.pid}.new`);
    writeFileSync(mine, JSON.stringify(this.#self(mode, '')), { mode: 0o600 });
    try {
      for (let attempt = 0; ; attempt++) {
        const holder = this.holder();
        if (holder) {
          throw new CerebroError(
            'conflict',
            `${this.path} is in use by a daemon already (pid ${holder.pid}${holder.url === '' ? '' : `, at ${holder.url}`})`,
          );
        }
        this.#putAside();
        try {
          linkSync(mine, this.#file);
          return;
        } catch (error) {
          // Somebody was quicker: look again at who it is.
          if (systemCode(error) !== 'EEXIST' || attempt > 5) throw error;
        }
      }
    } finally {
      rmSync(mine, { force: true });
    }
  }

  /**
   * Takes the file of a daemon that is gone out of the way. Between the look and this, another may have put its own there: it is
   * looked at once more when nobody else can touch it, and put back.
   */
  #putAside(): void {
    const aside = `${this.#file}.${process.pid}.old`;
    try {
      renameSync(this.#file, aside);
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return;
      throw error;
    }
    try {
      if (this.#holderIn(aside)) linkSync(aside, this.#file);
    } finally {
      rmSync(aside, { force: true });
    }
  }

  /**
   * Says where the daemon is reached: it is up. From here on the files are of its form, and not before: until then an upgrade that
   * waits for it may yet go back to the program before, which would refuse a folder of a newer one.
   */
  announce(mode: SitterFile['mode'], url: string): void {
    const file = `${this.#file}.new`;
    writeFileSync(file, JSON.stringify(this.#self(mode, url)), { mode: 0o600 });
    renameSync(file, this.#file);
    noteFormat(this.path);
  }

  /** The living daemon that has this folder. */
  holder(): SitterFile | undefined {
    return this.#holderIn(this.#file);
  }

  #holderIn(path: string): SitterFile | undefined {
    if (!existsSync(path)) return undefined;
    let file: SitterFile;
    try {
      file = sitterFile.parse(JSON.parse(readFileSync(path, 'utf8')));
    } catch {
      return undefined; // cut off while it was written: by nobody who lives
    }
    if (file.bootId !== this.#processes.bootId) return undefined;
    const info = this.#processes.read(file.pid);
    return info?.startTime === file.startTime && info.state !== 'Z' ? file : undefined;
  }

  release(): void {
    if (this.holder()?.pid === process.pid) rmSync(this.#file, { force: true });
  }

  /** The bearer token of whoever may do everything; made on first use. */
  adminToken(): string {
    return this.#secret('admin.token', () => randomBytes(32).toString('base64url'));
  }

  sessionKey(): Buffer {
    return Buffer.from(
      this.#secret('session.key', () => randomBytes(32).toString('base64url')),
      'base64url',
    );
  }

  /** Both, for a cluster sitter that shares them with others. */
  access(): Access {
    return { token: this.adminToken(), sessionKey: this.sessionKey().toString('base64url') };
  }

  /** They are another's from now on: whoever looks here for the token finds the right one. */
  keepAccess({ token, sessionKey }: Access): void {
    this.#keep('admin.token', token);
    this.#keep('session.key', sessionKey);
  }

  #secret(name: string, make: () => string): string {
    const path = join(this.path, name);
    if (existsSync(path)) {
      const text = readFileSync(path, 'utf8').trim();
      if (text !== '') return text;
    }
    const text = make();
    this.#keep(name, text);
    return text;
  }

  #keep(name: string, text: string): void {
    const path = join(this.path, name);
    writeFileSync(`${path}.new`, `${text}\n`, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  get #file(): string {
    return join(this.path, 'sitter.json');
  }

  #self(mode: SitterFile['mode'], url: string): SitterFile {
    const startTime = this.#processes.read(process.pid)?.startTime ?? 0;
    return { pid: process.pid, startTime, bootId: this.#processes.bootId, url, mode, version: packageVersion };
  }
}
