import { toBase64 } from './etcd-answers.ts';

/**
 * Where things are in etcd, under the prefix:
 *
 * - `commit` is written by each commit: what it was, and which it follows.
 * - `data/KEY` are the entries. `commit` stands just before them, so that one watch sees both.
 * - `epoch` and `lead` are outside of what is watched.
 */
export class EtcdKeys {
  readonly commit: string;
  readonly data: string;
  readonly epoch: string;
  readonly lead: string;
  /** What is watched. */
  readonly watched: { key: string; rangeEnd: string };

  constructor(prefix: string) {
    this.commit = `${prefix}commit`;
    this.data = `${prefix}data/`;
    this.epoch = `${prefix}epoch`;
    this.lead = `${prefix}lead`;
    this.watched = { key: toBase64(this.commit), rangeEnd: afterPrefix(this.data) };
  }

  entry(key: string): string {
    return `${this.data}${key}`;
  }

  /** The entry's own key. */
  own(key: string): string {
    return key.slice(this.data.length);
  }
}

/** The first key after all that begin with `prefix`, for etcd (base64). */
export function afterPrefix(prefix: string): string {
  const bytes = Buffer.from(prefix);
  // UTF-8 has no byte 255, so the last one can always grow.
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) + 1;
  return bytes.toString('base64');
}
