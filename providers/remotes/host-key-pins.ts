import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { CerebroError, messageOf } from '../../core/errors.ts';

/** A public key in its wire form, as a server shows it. */
export interface HostKey {
  type: string;
  blob: Buffer;
}

/**
 * The host keys of first contacts, in a file that OpenSSH reads too (`-o UserKnownHostsFile=`). It is read anew for each use: a
 * line that somebody takes out of it is forgotten at once.
 */
export class HostKeyPins {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** The keys remembered of a host. Throws `invalid` when the file cannot be read: better no contact than one with anybody. */
  of(name: string): HostKey[] {
    return this.#lines()
      .filter((line) => line.startsWith(`${name} `))
      .map((line) => parseHostKey(line.slice(name.length + 1)));
  }

  /** Remembers the key of a host that has none yet. Throws `forbidden` when another one was remembered meanwhile. */
  add(name: string, key: HostKey): void {
    const known = this.of(name);
    if (known.some((other) => other.blob.equals(key.blob))) return;
    if (known.length > 0) throw changedHostKey(name, known, key, `forget the old one in ${this.path}`);
    this.#save([...this.#lines(), `${name} ${key.type} ${key.blob.toString('base64')}`]);
  }

  /** For a host that is gone for good, or was given back: the next one of that name may have another key. */
  forget(name: string): void {
    const lines = this.#lines();
    const kept = lines.filter((line) => !line.startsWith(`${name} `));
    if (kept.length < lines.length) this.#save(kept);
  }

  #lines(): string[] {
    if (!existsSync(this.path)) return [];
    try {
      return readFileSync(this.path, 'utf8')
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'));
    } catch (error) {
      throw new CerebroError('invalid', `the remembered host keys cannot be read: ${messageOf(error)}`);
    }
  }

  #save(lines: readonly string[]): void {
    mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
    writeFileSync(`${this.path}.new`, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
    renameSync(`${this.path}.new`, this.path);
  }
}

/** From `TYPE BASE64`. */
export function parseHostKey(text: string): HostKey {
  const [type = '', base64 = ''] = text.trim().split(/\s+/);
  return { type, blob: Buffer.from(base64, 'base64') };
}

/** From the wire form, which begins with its type. */
export function hostKeyOf(blob: Buffer): HostKey {
  const length = blob.length >= 4 ? blob.readUInt32BE(0) : 0;
  return { type: blob.subarray(4, 4 + length).toString('latin1'), blob };
}

/** As `ssh-keygen -l` shows it. */
export function fingerprint(key: HostKey): string {
  return `SHA256:${createHash('sha256').update(key.blob).digest('base64').replace(/=+$/, '')}`;
}

export function changedHostKey(
  name: string,
  known: readonly HostKey[],
  found: HostKey | undefined,
  advice: string,
): CerebroError {
  const before = known.map((key) => `${key.type} ${fingerprint(key)}`).join(' or ');
  const now = found ? `${found.type} ${fingerprint(found)}` : 'none of that kind';
  return new CerebroError(
    'forbidden',
    `the host key of ${name} has changed: it was ${before}, now it is ${now}. Somebody may be in between, so nothing was sent. If the host was set up anew, ${advice}`,
  );
}
