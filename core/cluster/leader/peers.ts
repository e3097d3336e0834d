import { randomUUID } from 'node:crypto';
import type { Clock } from '../../contracts/clock.ts';
import { storeKeys } from '../../model/backup.ts';
import { type LeaderRecord, leaderRecord } from '../../model/leader-record.ts';
import type { TlsIdentity } from '../../model/tls-identity.ts';
import type { Authority } from '../access/certificate-authority.ts';
import type { ClusterRecords } from '../records/cluster-records.ts';
import { LeaderLine, type Passed, type PassedOn } from './leader-line.ts';
import type { Leadership } from './leadership.ts';

/** After a change that the leader made for us, we wait so long to hear of it from the store. */
const HEAR_MS = 3000;
const RUNS_ON = 'What runs runs on';

export interface PeersDeps {
  records: Pick<ClusterRecords, 'meta' | 'revision' | 'takenIn' | 'transact'>;
  lead: Pick<Leadership, 'leads' | 'epoch'>;
  authority: Authority;
  /** Where other cluster sitters reach this one; undefined: it is the only one there can be. */
  address: (() => string) | undefined;
  clock: Clock;
}

/** The cluster sitters of one cluster, as one of them sees them: who leads, and how to speak to it. */
export class Peers {
  readonly #deps: PeersDeps;
  readonly #line: LeaderLine;
  /** Of this process alone. */
  readonly #sitter = randomUUID();

  constructor(deps: PeersDeps) {
    const { authority, clock } = deps;
    this.#deps = deps;
    this.#line = new LeaderLine({
      issue: () => authority.issueForClusterSitter(),
      lifetimeMs: authority.lifetimeMs,
      clock,
    });
  }

  leads(): boolean {
    return this.#deps.lead.leads();
  }

  /** The revision of the store up to which this cluster sitter has heard everything. */
  get revision(): number {
    return this.#deps.records.revision;
  }

  /** Who leads, or led last; null: that is not known. */
  get leader(): LeaderRecord | null {
    return leaderRecord.safeParse(this.#deps.records.meta.get(storeKeys.leader)).data ?? null;
  }

  /** Where to send what is asked of the leader; null: nobody else leads, as far as is known. */
  get leaderUrl(): string | null {
    const { leader } = this;
    return leader === null || leader.sitter === this.#sitter || leader.url === this.#deps.address?.()
      ? null
      : leader.url;
  }

  /** For people: why nothing is decided here; null while we lead. */
  get sentence(): string | null {
    if (this.leads()) return null;
    const { leader } = this;
    if (leader === null)
      return `this cluster sitter does not lead: another one does, or the store does not answer. ${RUNS_ON}; nothing is changed from here`;
    if (leader.sitter === this.#sitter)
      return `this cluster sitter does not lead any more: the store does not answer, or another one takes over. ${RUNS_ON}; nothing is changed until one leads`;
    if (leader.url === this.#deps.address?.())
      return `this cluster sitter does not lead yet: an earlier run of it, which was not stopped in order, has the lead until its lease ends. ${RUNS_ON}; this one leads after that`;
    return `this cluster sitter stands by and does not lead; the one at ${leader.url} does (or did, when last heard of). ${RUNS_ON}; what is asked for here is passed on to it`;
  }

  /** We lead: writes down where we are reached. */
  async announce(): Promise<void> {
    const { records, lead, address } = this.#deps;
    if (!address) return;
    const value: LeaderRecord = { url: address(), epoch: lead.epoch, sitter: this.#sitter };
    await records.transact(() => ({ write: [{ put: storeKeys.leader, value }], events: [] }));
  }

  passOn(url: string, request: PassedOn): Promise<Passed> {
    return this.#line.send(url, request);
  }

  /** Waits until we show what the leader showed at `revision`; not for ever, since its change is made either way. */
  async heard(revision: number): Promise<void> {
    await this.#deps.records.takenIn(revision, HEAR_MS).catch(() => undefined);
  }

  issueForDoor(): Promise<TlsIdentity> {
    return this.#deps.authority.issueForDoor();
  }

  get certificateMs(): number {
    return this.#deps.authority.lifetimeMs;
  }

  async close(): Promise<void> {
    await this.#line.close();
  }
}
