import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProcessTable } from '../contracts/process-table.ts';
import { CerebroError, messageOf } from '../errors.ts';
import type { Access } from '../model/access.ts';
import type { SitterFile } from '../model/sitter-file.ts';
import { checkFormat, noteFormat } from './data-format.ts';
import { FolderClaim } from './folder-claim.ts';
import { packageVersion } from './package-root.ts';

/** What a machine sitter, and a cluster sitter with the store that comes with it, keep in their folders from their first start on. */
const MACHINE_FOLDER = 'tasks';
const CLUSTER_FOLDER = 'store';

/** A daemon's data folder: who has it, and the secrets in it. */
export class DataFolder {
  readonly path: string;
  readonly #processes: ProcessTable;
  readonly #claim: FolderClaim;

  constructor(path: string, processes: ProcessTable) {
    this.path = path;
    this.#processes = processes;
    this.#claim = new FolderClaim(this.#file, processes);
  }

  /** Makes the folder, for its owner alone, unless it is there. */
  make(): void {
    try {
      mkdirSync(this.path, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw new CerebroError('unavailable', `the data folder ${this.path} cannot be made: ${messageOf(error)}`);
    }
  }

  /** Makes the folder ours. Throws `conflict` when another daemon has it, or it is of the other mode, `unsupported` when it is of a newer program. */
  take(mode: SitterFile['mode']): void {
    this.make();
    checkFormat(this.path);
    const [own, other] = mode === 'machine' ? [MACHINE_FOLDER, CLUSTER_FOLDER] : [CLUSTER_FOLDER, MACHINE_FOLDER];
    if (!existsSync(join(this.path, own)) && existsSync(join(this.path, other)))
      throw new CerebroError(
        'conflict',
        `${this.path} is the folder of a ${mode === 'machine' ? 'cluster' : 'machine'} sitter: name another one with --data-dir`,
      );
    this.#claim.take(this.#self(mode, ''));
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
    return this.#claim.holder();
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
