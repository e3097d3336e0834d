import type { Clock } from '../../core/contracts/clock.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import { CerebroError, messageOf } from '../../core/errors.ts';
import { nextEpoch } from '../../core/model/next-epoch.ts';
import { anyAnswer, foundIn, grantAnswer, toBase64, txnAnswer } from './etcd-answers.ts';
import type { EtcdClient } from './etcd-client.ts';
import type { EtcdKeys } from './etcd-keys.ts';
import { EtcdLease, momentOf } from './etcd-lease.ts';
import { pause } from './pause.ts';

/** Whoever waits looks so often whether the lead is free. */
const LOOK_MS = 500;

export interface ElectionParts {
  client: EtcdClient;
  keys: EtcdKeys;
  clock: Clock;
  logger: Logger;
  /** Seconds that the lead is held without a word to etcd. */
  leaseSeconds: number;
  onRelease(): void;
}

export interface Candidacy {
  holder: string;
  signal: AbortSignal;
  /** The lead that we had, and lost. */
  before: EtcdLease | null;
  onHeld: ((by: string) => void) | undefined;
}

/** Who leads: a key that lives as long as its holder's lease. */
export class EtcdElection {
  readonly #parts: ElectionParts;

  constructor(parts: ElectionParts) {
    this.#parts = parts;
  }

  /** Waits until the lead is free and takes it. Throws `unavailable` when the signal aborts, and says what stood in the way. */
  async win(candidacy: Candidacy): Promise<EtcdLease> {
    const { signal } = candidacy;
    let obstacle = 'it was not asked for';
    while (!signal.aborted) {
      try {
        const outcome = await this.#attempt(candidacy);
        if (typeof outcome !== 'string') {
          if (!signal.aborted) return outcome;
          await outcome.release();
        } else obstacle = outcome;
      } catch (error) {
        obstacle = messageOf(error);
        if (error instanceof CerebroError && error.code === 'unauthorized') throw error;
        this.#parts.logger.debug({ reason: obstacle }, 'the lead cannot be asked for; it is tried again');
      }
      await pause(this.#parts.clock, LOOK_MS, signal);
    }
    throw new CerebroError('unavailable', `the lead was not had in time: ${obstacle}`);
  }

  /** The lead, or who has it. */
  async #attempt({ holder, signal, before: own, onHeld }: Candidacy): Promise<EtcdLease | string> {
    const { client, keys, clock, logger, leaseSeconds } = this.#parts;
    const look = { success: [keys.lead, keys.epoch].map((key) => ({ requestRange: { key: toBase64(key) } })) };
    const found = foundIn(await client.call('/v3/kv/txn', look, txnAnswer, { signal }));
    const leader = found.get(keys.lead);
    if (leader) {
      // Over by our count, and not by etcd's, which may have been away: nobody has to wait for its end.
      if (leader.lease === own?.id) await client.call('/v3/lease/revoke', { ID: leader.lease }, anyAnswer);
      else onHeld?.(leader.value);
      return `${leader.value} has it`;
    }
    const before = found.get(keys.epoch);
    const since = momentOf(clock);
    const grant = await client.call('/v3/lease/grant', { TTL: String(leaseSeconds) }, grantAnswer);
    const epoch = nextEpoch(Number(before?.value ?? 0), clock.now());
    const put = (key: string, value: string, lease?: string): object => ({
      requestPut: { key: toBase64(key), value: toBase64(value), ...(lease !== undefined && { lease }) },
    });
    const answer = await client.call(
      '/v3/kv/txn',
      {
        compare: [
          { key: toBase64(keys.lead), target: 'CREATE', result: 'EQUAL', createRevision: '0' },
          { key: toBase64(keys.epoch), target: 'MOD', result: 'EQUAL', modRevision: String(before?.mod_revision ?? 0) },
        ],
        success: [put(keys.lead, holder, grant.ID), put(keys.epoch, String(epoch))],
        failure: [{ requestRange: { key: toBase64(keys.lead) } }],
      },
      txnAnswer,
    );
    // Sent twice, since the first answer was lost: then it is our own lease that we find there.
    const there = foundIn(answer).get(keys.lead);
    const ours = answer.succeeded || there?.lease === grant.ID;
    const lease = new EtcdLease({
      client,
      clock,
      logger,
      id: grant.ID,
      epoch,
      revision: there?.create_revision ?? answer.header.revision,
      ttlMs: grant.TTL * 1000,
      since,
      onRelease: this.#parts.onRelease,
    });
    if (ours && lease.remainingMs() > 0) {
      lease.start();
      return lease;
    }
    lease.close();
    await client.call('/v3/lease/revoke', { ID: grant.ID }, anyAnswer);
    return there ? `${there.value} has it` : 'etcd was too slow to give it';
  }
}
