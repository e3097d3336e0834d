import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { CerebroError, systemCode } from '../../errors.ts';

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CIPHER = 'aes-256-gcm';

/** What seals secrets, and opens them. */
export interface SecretKey {
  /** By which a key is known, in the records that it sealed; null: there is no key yet. */
  id(): string | null;
  /** Makes the key, where there is none yet. */
  make(): void;
  /** `about` is bound to the text: it opens only with the same. Throws `unavailable` where there is no key. */
  seal(text: string, about: string): string;
  /** Throws `unavailable` where it was not sealed with this key, or about something else. */
  open(sealed: string, about: string): string;
}

/** A key in a file that only its owner may read. It is not in the store, nor in a backup: who has either has no secrets yet. */
export class SecretKeyFile implements SecretKey {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  id(): string | null {
    const key = this.#read();
    return key === null ? null : createHash('sha256').update(key).digest('hex').slice(0, 16);
  }

  make(): void {
    if (existsSync(this.#path)) return;
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    const part = `${this.#path}.${process.pid}.new`;
    writeFileSync(part, `${randomBytes(KEY_BYTES).toString('base64url')}\n`, { mode: 0o600 });
    try {
      // Never over a key that came to be there meanwhile.
      linkSync(part, this.#path);
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
    } finally {
      rmSync(part, { force: true });
    }
    chmodSync(this.#path, 0o600);
  }

  seal(text: string, about: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#demand(), nonce).setAAD(Buffer.from(about));
    const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64');
  }

  open(sealed: string, about: string): string {
    const bytes = Buffer.from(sealed, 'base64');
    const nonce = bytes.subarray(0, NONCE_BYTES);
    const tag = bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
    try {
      const cipher = createDecipheriv(CIPHER, this.#demand(), nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(Buffer.from(about)).setAuthTag(tag);
      return Buffer.concat([cipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), cipher.final()]).toString('utf8');
    } catch (error) {
      if (error instanceof CerebroError) throw error;
      throw new CerebroError('unavailable', `the key in ${this.#path} does not open it, or it was damaged`);
    }
  }

  #demand(): Buffer {
    const key = this.#read();
    if (key) return key;
    throw new CerebroError(
      'unavailable',
      `there is no key file ${this.#path}; put there the one that secrets were sealed with`,
    );
  }

  #read(): Buffer | null {
    if (!existsSync(this.#path)) return null;
    if ((statSync(this.#path).mode & 0o077) !== 0)
      throw new CerebroError('unavailable', `others may read the key file ${this.#path}: chmod 600 it`);
    const key = Buffer.from(readFileSync(this.#path, 'utf8').trim(), 'base64url');
    if (key.length === KEY_BYTES) return key;
    throw new CerebroError(
      'unavailable',
      `the key file ${this.#path} does not hold a key: ${KEY_BYTES} bytes in base64url`,
    );
  }
}

/** For a cluster sitter that was given no place for a key. */
export const NO_SECRET_KEY: SecretKey = {
  id: () => null,
  make: refuse,
  seal: refuse,
  open: refuse,
};

function refuse(): never {
  throw new CerebroError('unsupported', 'this cluster sitter keeps no secrets');
}
