import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { isWithin } from '../../core/contracts/dns-batch.ts';
import { CerebroError, messageOf, systemCode } from '../../core/errors.ts';

/** The oldest are forgotten first. */
const MAX_NAMES = 10_000;

/**
 * The names that were ever written and may still be there, one in a line: where a server allows no zone transfer, nothing but
 * asking for each of them tells what is there. It is on disk before a name is sent.
 */
export class KnownNames {
  readonly #path: string;
  #names = new Set<string>();
  /** Lines in the file: it is written anew when most of them are old. */
  #lines = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Throws `unavailable` where the file cannot be read or written. */
  load(): void {
    this.#onDisk(() => {
      mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
      this.#names = new Set(
        this.#read()
          .split('\n')
          .filter((line) => line !== ''),
      );
      this.#rewrite();
    });
  }

  add(names: readonly string[]): void {
    const fresh = [...new Set(names)].filter((name) => !this.#names.has(name));
    if (fresh.length === 0) return;
    for (const name of fresh) this.#names.add(name);
    this.#onDisk(() => {
      if (this.#lines + fresh.length > 2 * MAX_NAMES) this.#rewrite();
      else this.#write('a', fresh);
    });
  }

  /** Nothing was found there. It stays in the file until that is written anew. */
  forget(name: string): void {
    this.#names.delete(name);
  }

  within(parent: string): string[] {
    return [...this.#names].filter((name) => isWithin(name, parent));
  }

  #read(): string {
    try {
      return readFileSync(this.#path, 'utf8');
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return '';
      throw error;
    }
  }

  #rewrite(): void {
    this.#names = new Set([...this.#names].slice(-MAX_NAMES));
    this.#write('w', [...this.#names]);
  }

  #write(how: 'a' | 'w', names: readonly string[]): void {
    const path = how === 'a' ? this.#path : `${this.#path}.new`;
    const file = openSync(path, how, 0o600);
    try {
      writeSync(file, names.map((name) => `${name}\n`).join(''));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    if (how === 'w') renameSync(path, this.#path);
    this.#lines = how === 'w' ? names.length : this.#lines + names.length;
  }

  #onDisk(work: () => void): void {
    try {
      work();
    } catch (error) {
      throw new CerebroError('unavailable', `the DNS names in ${this.#path} cannot be kept: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
}
