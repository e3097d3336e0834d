import type { Entry } from '../../core/contracts/state-store.ts';
import { CerebroError } from '../../core/errors.ts';
import { rangeAnswer } from './etcd-answers.ts';
import type { EtcdClient } from './etcd-client.ts';
import { afterPrefix, type EtcdKeys } from './etcd-keys.ts';
import type { RangePage, RangeQuery } from './range-message.ts';
import type { RangeSession } from './range-session.ts';

/** For each page etcd counts all keys that come after it, so few pages are cheaper; but while one is taken in, nothing else is done. */
const PAGE = 2500;
/** A list that a compaction came into is begun anew so often. */
const TRIES = 3;

export interface Listing {
  entries: Entry[];
  revision: number;
}

export interface ListParts {
  client: EtcdClient;
  keys: EtcdKeys;
  onGateway(reason: unknown): void;
}

/** The pages of one list: by gRPC for as long as that works, and by the gateway from then on. */
class Pages {
  readonly #parts: ListParts;
  #session: RangeSession | null = null;
  #byGateway = false;
  #closed = false;

  constructor(parts: ListParts) {
    this.#parts = parts;
  }

  async page(query: RangeQuery): Promise<RangePage> {
    const { client, onGateway } = this.#parts;
    if (!this.#byGateway) {
      try {
        this.#session ??= await client.ranges();
        return await this.#session.range(query, client.tryMs);
      } catch (error) {
        if (error instanceof CerebroError || this.#closed) throw error;
        // Something in between does not speak it, or that member does not answer: the gateway's calls pass over to the next.
        onGateway(error);
        this.#byGateway = true;
        this.#endSession();
      }
    }
    return byGateway(client, query);
  }

  /** Nobody wants a page any more. */
  close(): void {
    this.#closed = true;
    this.#endSession();
  }

  #endSession(): void {
    this.#session?.close();
    this.#session = null;
  }
}

/** All entries whose key begins with `prefix`, as of one revision, page by page. */
export async function listEntries(parts: ListParts, prefix: string): Promise<Listing> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await listOnce(parts, prefix);
    } catch (error) {
      if (!(error instanceof CerebroError && error.code === 'conflict') || attempt >= TRIES) throw error;
    }
  }
}

async function listOnce(parts: ListParts, prefix: string): Promise<Listing> {
  const { keys } = parts;
  const first = keys.entry(prefix);
  const rangeEnd = Buffer.from(afterPrefix(first), 'base64');
  const listing: Listing = { entries: [], revision: 0 };
  const pages = new Pages(parts);
  try {
    const from = (key: Buffer): Promise<RangePage> =>
      pages.page({ key, rangeEnd, limit: PAGE, revision: listing.revision });
    for (let coming = from(Buffer.from(first)); ; ) {
      const { revision, found, more } = await coming;
      if (listing.revision === 0) listing.revision = revision;
      const last = found.at(-1);
      const isLast = !more || !last;
      if (!isLast) {
        // Asked for before this one is taken in: etcd reads it meanwhile.
        coming = from(Buffer.concat([last.key, Buffer.of(0)]));
        coming.catch(() => undefined); // it is told when its turn comes
      }
      for (const { key, value, modRevision } of found)
        listing.entries.push({
          key: keys.own(key.toString()),
          value: JSON.parse(value.toString()),
          revision: modRevision,
        });
      if (isLast) return listing;
    }
  } finally {
    pages.close();
  }
}

async function byGateway(client: EtcdClient, { key, rangeEnd, limit, revision }: RangeQuery): Promise<RangePage> {
  const body = {
    key: key.toString('base64'),
    rangeEnd: rangeEnd.toString('base64'),
    limit: String(limit),
    revision: String(revision),
  };
  const { header, kvs, more } = await client.call('/v3/kv/range', body, rangeAnswer);
  return {
    revision: header.revision,
    found: kvs.map((kv) => ({ key: Buffer.from(kv.key), value: Buffer.from(kv.value), modRevision: kv.mod_revision })),
    more,
  };
}
