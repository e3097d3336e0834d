import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

/** More files than this are not remembered; the oldest goes. */
const KEPT = 100;

/** SHA-256 of files of this host, each read once for as long as it is the same: a release goes to many machines at once. */
export class FileHashes {
  readonly #known = new Map<string, { as: string; hash: Promise<string> }>();

  /** In hex. A file that has another size, time or inode than before is read again. */
  async of(path: string): Promise<string> {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    const as = [dev, ino, size, mtimeNs, ctimeNs].join(' ');
    const known = this.#known.get(path);
    if (known?.as === as) return known.hash;
    const hash = sha256Of(path);
    this.#known.delete(path);
    this.#known.set(path, { as, hash });
    hash.catch(() => this.#known.delete(path)); // whoever asked learns of it; the next one tries again
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= KEPT) break;
      this.#known.delete(oldest);
    }
    return hash;
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex');
}
