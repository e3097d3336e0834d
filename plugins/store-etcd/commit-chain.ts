import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { CommitResult, Condition, Operation, Transaction } from '../../core/contracts/state-store.ts';
import { CerebroError } from '../../core/errors.ts';
import { foundIn, type KeyValue, rangeAnswer, type TxnAnswer, toBase64, txnAnswer } from './etcd-answers.ts';
import type { EtcdClient } from './etcd-client.ts';
import type { EtcdKeys } from './etcd-keys.ts';

/** etcd takes 128 operations on each level of a transaction (`--max-txn-ops`). */
const FLAT = 100;
const GROUP = 60;
const MOST_WRITES = 60 * GROUP;
/** Others that commit at the same time are waited for so often. */
const TRIES = 100;

/** What stands in the key `commit`. */
export const commitNote = z.object({ id: z.string(), deletes: z.array(z.string()).default([]) });

/** The lead under which commits are made: they are refused as soon as somebody else has it. */
export interface Fence {
  /** The revision at which the key `lead` was made. */
  readonly revision: number;
  remainingMs(): number;
  /** Somebody else has been seen to lead. */
  lost(): void;
}

/**
 * Commits, each conditional on the one that it follows. So one whose answer was lost can be sent again, at another endpoint too: it
 * takes effect once, and whether it did is seen by the id that it leaves. Conditions beyond what etcd takes in one transaction are
 * read before it; that nothing was committed in between holds them.
 */
export class CommitChain {
  readonly #client: EtcdClient;
  readonly #keys: EtcdKeys;
  readonly #fence: () => Fence | null;
  /** The revision of the last commit that is known of; null: to be asked for. */
  #last: number | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(client: EtcdClient, keys: EtcdKeys, fence: () => Fence | null) {
    this.#client = client;
    this.#keys = keys;
    this.#fence = fence;
  }

  commit(transaction: Transaction): Promise<CommitResult> {
    // Of the lead under which it was made, also when its turn comes after another lead was had.
    const fence = this.#fence();
    const turn = this.#turn.then(() => this.#commit(transaction, fence));
    this.#turn = turn.catch(() => undefined); // whose commit it was is told; the next one's turn comes all the same
    return turn;
  }

  async #commit({ when = [], write }: Transaction, fence: Fence | null): Promise<CommitResult> {
    const id = randomUUID();
    // As in the other stores, of two operations on one key the later counts; etcd would refuse both.
    const writes = [...new Map(write.map((operation) => [keyOf(operation), operation])).values()];
    if (writes.length > MOST_WRITES)
      throw new CerebroError('too_large', `a change of ${writes.length} records is more than etcd takes at once`);
    const large = when.length > FLAT || writes.length > FLAT;
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const follows = this.#last === null || large ? await this.#head() : this.#last;
      if (large) {
        const failed = await this.#failedOf(when);
        if (failed.length > 0) return { ok: false, failed };
      }
      if (fence && fence.remainingMs() <= 0) throw noLongerLeads();
      const answer = await this.#send({ id, follows, fence, when: large ? [] : when, writes });
      if (answer.succeeded) return this.#done(answer.header.revision);
      const found = foundIn(answer);
      const head = found.get(this.#keys.commit);
      if (head && commitNote.safeParse(JSON.parse(head.value)).data?.id === id) return this.#done(head.mod_revision);
      this.#last = head?.mod_revision ?? 0;
      if (fence && found.get(this.#keys.lead)?.create_revision !== fence.revision) {
        fence.lost();
        throw noLongerLeads();
      }
      const failed = large ? [] : this.#failedAmong(when, found);
      if (failed.length > 0) return { ok: false, failed };
    }
    throw new CerebroError('unavailable', `others commit all the time; this change found no gap in ${TRIES} tries`);
  }

  #done(revision: number): CommitResult {
    this.#last = revision;
    return { ok: true, revision };
  }

  async #send(commit: {
    id: string;
    follows: number;
    fence: Fence | null;
    when: readonly Condition[];
    writes: readonly Operation[];
  }): Promise<TxnAnswer> {
    const { id, follows, fence, when, writes } = commit;
    const compare = (key: string, revision: number): object => ({
      key: toBase64(key),
      target: 'MOD',
      result: 'EQUAL',
      modRevision: String(revision),
    });
    const { commit: commitKey, lead } = this.#keys;
    // etcd tells nobody of a delete that found nothing; the note does.
    const deletes = writes.every((operation) => 'delete' in operation) ? writes.map(keyOf) : [];
    const note = { requestPut: { key: toBase64(commitKey), value: toBase64(JSON.stringify({ id, deletes })) } };
    const looks = [commitKey, ...(fence ? [lead] : []), ...when.map(({ key }) => this.#keys.entry(key))];
    try {
      const body = {
        compare: [
          compare(commitKey, follows),
          ...when.map(({ key, revision }) => compare(this.#keys.entry(key), revision)),
          ...(fence
            ? [
                {
                  key: toBase64(lead),
                  target: 'CREATE',
                  result: 'EQUAL',
                  createRevision: String(fence.revision),
                },
              ]
            : []),
        ],
        success: [note, ...inGroups(writes.map((operation) => this.#operation(operation)))],
        failure: looks.map((key) => ({ requestRange: { key: toBase64(key), keysOnly: key !== commitKey } })),
      };
      return await this.#client.call('/v3/kv/txn', body, txnAnswer);
    } catch (error) {
      this.#last = null;
      throw error;
    }
  }

  #operation(operation: Operation): object {
    const key = toBase64(this.#keys.entry(keyOf(operation)));
    if ('delete' in operation) return { requestDeleteRange: { key } };
    return { requestPut: { key, value: toBase64(JSON.stringify(operation.value)) } };
  }

  /** The revision of the newest commit; 0: there is none. */
  async #head(): Promise<number> {
    const answer = await this.#client.call(
      '/v3/kv/range',
      { key: toBase64(this.#keys.commit), keysOnly: true },
      rangeAnswer,
    );
    return answer.kvs[0]?.mod_revision ?? 0;
  }

  async #failedOf(when: readonly Condition[]): Promise<string[]> {
    const failed: string[] = [];
    for (let from = 0; from < when.length; from += FLAT) {
      const some = when.slice(from, from + FLAT);
      const success = some.map(({ key }) => ({
        requestRange: { key: toBase64(this.#keys.entry(key)), keysOnly: true },
      }));
      failed.push(...this.#failedAmong(some, foundIn(await this.#client.call('/v3/kv/txn', { success }, txnAnswer))));
    }
    return failed;
  }

  #failedAmong(when: readonly Condition[], found: ReadonlyMap<string, KeyValue>): string[] {
    return when
      .filter(({ key, revision }) => (found.get(this.#keys.entry(key))?.mod_revision ?? 0) !== revision)
      .map(({ key }) => key);
  }
}

function keyOf(operation: Operation): string {
  return 'put' in operation ? operation.put : operation.delete;
}

/** What is too much for one level of a transaction goes one level down; it is one transaction all the same. */
function inGroups(operations: readonly object[]): object[] {
  if (operations.length <= FLAT) return [...operations];
  const groups: object[] = [];
  for (let from = 0; from < operations.length; from += GROUP)
    groups.push({ requestTxn: { success: operations.slice(from, from + GROUP) } });
  return groups;
}

function noLongerLeads(): CerebroError {
  return new CerebroError('conflict', 'this cluster sitter does not lead any more; its change was not recorded');
}
