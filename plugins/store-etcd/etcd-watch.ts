import type { Clock, Timer } from '../../core/contracts/clock.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import type { Change, Watch } from '../../core/contracts/state-store.ts';
import { CerebroError, messageOf } from '../../core/errors.ts';
import { commitNote } from './commit-chain.ts';
import { rangeAnswer, toBase64, type WatchAnswer, watchAnswer } from './etcd-answers.ts';
import type { EtcdClient } from './etcd-client.ts';
import { TryAgain } from './etcd-errors.ts';
import type { EtcdKeys } from './etcd-keys.ts';
import { pause } from './pause.ts';
import { textLines } from './text-lines.ts';

/** A connection that was cut without a word (a host that lost its power) is noticed by a look at the newest commit. */
const LOOK_MS = 5000;
const PAUSE_MS = { first: 100, most: 3000 } as const;

export interface WatchParts {
  client: Pick<EtcdClient, 'call' | 'stream' | 'passOn'>;
  keys: EtcdKeys;
  clock: Clock;
  logger: Logger;
  /** What is delivered: entries whose key begins with it. */
  prefix: string;
  onChanges(changes: Change[]): void;
  onError(error: Error): void;
}

/**
 * One watch: etcd's stream, opened again where it ended, at the next endpoint and after the last revision that was delivered. It
 * ends by `close`, or with `conflict` when etcd has forgotten what comes next, or was put back to an older state.
 */
export class EtcdWatch implements Watch {
  readonly #parts: WatchParts;
  readonly #closing = new AbortController();
  /** All up to this revision was delivered, or did not concern us. */
  #reached: number;
  #stream: AbortController | null = null;
  #look: Timer | null = null;
  /** A commit that should have been heard of at the last look. */
  #missing: number | null = null;

  constructor(parts: WatchParts, revision: number) {
    this.#parts = parts;
    this.#reached = revision;
  }

  /** Runs until it is closed; never rejects. */
  async run(): Promise<void> {
    this.#lookLater();
    let pauseMs: number = PAUSE_MS.first;
    while (!this.#closing.signal.aborted) {
      const before = this.#reached;
      try {
        await this.#follow();
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        if (error instanceof CerebroError && (error.code === 'conflict' || error.code === 'internal'))
          return this.#end(error);
        this.#parts.logger.warn({ reason: messageOf(error) }, 'the watch of etcd broke; it is taken up again');
      }
      this.#parts.client.passOn();
      pauseMs = this.#reached > before ? PAUSE_MS.first : Math.min(PAUSE_MS.most, pauseMs * 2);
      await pause(this.#parts.clock, pauseMs, this.#closing.signal);
    }
  }

  close(): void {
    this.#closing.abort();
    this.#look?.cancel();
    this.#stream?.abort();
  }

  #end(error: CerebroError): void {
    this.close();
    this.#parts.onError(error);
  }

  async #follow(): Promise<void> {
    const stream = new AbortController();
    this.#stream = stream;
    const { client, keys } = this.#parts;
    const createRequest = { ...keys.watched, startRevision: String(this.#reached + 1) };
    const body = await client.stream('/v3/watch', { createRequest }, stream.signal);
    for await (const line of textLines(body)) {
      const { result, error } = watchAnswer.parse(JSON.parse(line));
      if (!result) throw new TryAgain(error?.message ?? 'the stream ended without a reason');
      if (result.compact_revision > 0)
        throw new CerebroError(
          'conflict',
          `what came after revision ${this.#reached} is no longer known one by one (etcd was compacted up to ${result.compact_revision}); list again`,
        );
      if (result.canceled) throw new TryAgain(result.cancel_reason || 'etcd ended the watch');
      this.#take(result.events);
    }
  }

  /** Commit by commit; etcd does not part what belongs to one revision. */
  #take(events: NonNullable<WatchAnswer['result']>['events']): void {
    const { keys, prefix, onChanges } = this.#parts;
    const commits = new Map<number, Map<string, Change>>();
    for (const { type, kv } of events) {
      const revision = kv.mod_revision;
      if (revision <= this.#reached) continue;
      const changes = commits.get(revision) ?? new Map<string, Change>();
      commits.set(revision, changes);
      if (kv.key.startsWith(keys.data)) {
        const key = keys.own(kv.key);
        const value: unknown = type === 'DELETE' ? null : JSON.parse(kv.value);
        if (key.startsWith(prefix)) changes.set(key, { key, value, revision });
      } else if (kv.key === keys.commit && type === 'PUT') {
        for (const key of commitNote.parse(JSON.parse(kv.value)).deletes)
          if (key.startsWith(prefix)) changes.set(key, { key, value: null, revision });
      }
    }
    for (const [revision, changes] of commits) {
      if (this.#closing.signal.aborted) return;
      this.#reached = revision;
      if (changes.size > 0) this.#hand(onChanges, [...changes.values()]);
    }
  }

  #hand(onChanges: (changes: Change[]) => void, changes: Change[]): void {
    try {
      onChanges(changes);
    } catch (error) {
      throw new CerebroError('internal', messageOf(error), { cause: error });
    }
  }

  #lookLater(): void {
    this.#look = this.#parts.clock.timer(LOOK_MS, () => {
      this.#lookAtHead()
        .catch((error: unknown) => {
          if (!this.#closing.signal.aborted)
            this.#parts.logger.debug({ reason: messageOf(error) }, 'etcd does not say what its newest commit is');
        })
        .finally(() => {
          if (!this.#closing.signal.aborted) this.#lookLater();
        });
    });
  }

  async #lookAtHead(): Promise<void> {
    const { client, keys } = this.#parts;
    const reached = this.#reached;
    const body = { key: toBase64(keys.commit), keysOnly: true };
    const { kvs, header } = await client.call('/v3/kv/range', body, rangeAnswer, { signal: this.#closing.signal });
    if (this.#closing.signal.aborted) return;
    // Every member answers this read with all that was committed: fewer revisions are another history, from a snapshot or an empty
    // folder. A watch that waits for one of the old history would be silent until the new one has as many, and then lack some.
    if (header.revision < reached)
      return this.#end(
        new CerebroError(
          'conflict',
          `etcd is at revision ${header.revision}, and was at ${reached}: it was put back to an older state, or made anew; list again`,
        ),
      );
    const newest = kvs[0]?.mod_revision ?? 0;
    if (newest <= reached) {
      // Nothing of ours came since: others' changes may be compacted without our having to read all anew.
      this.#reached = Math.max(this.#reached, header.revision);
      this.#missing = null;
    } else if (this.#missing !== null && this.#reached < this.#missing) {
      this.#missing = null;
      this.#stream?.abort();
    } else {
      this.#missing = newest;
    }
  }
}
