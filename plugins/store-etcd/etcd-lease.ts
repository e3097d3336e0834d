import type { Clock, Timer } from '../../core/contracts/clock.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import type { Lease } from '../../core/contracts/state-store.ts';
import { messageOf } from '../../core/errors.ts';
import type { Fence } from './commit-chain.ts';
import { anyAnswer, keepAliveAnswer } from './etcd-answers.ts';
import type { EtcdClient } from './etcd-client.ts';

const RETRY_MS = 500;
const RELEASE_MS = 3000;

/** A moment by both clocks: the monotonic one stands still while the host is suspended, the other one may be set. */
export interface Moment {
  monotonic: number;
  wall: number;
}

export function momentOf(clock: Clock): Moment {
  return { monotonic: clock.monotonic(), wall: clock.now() };
}

export interface EtcdLeaseParts {
  client: EtcdClient;
  clock: Clock;
  logger: Logger;
  /** etcd's own number of the lease. */
  id: string;
  epoch: number;
  /** The revision at which the key `lead` was made. */
  revision: number;
  ttlMs: number;
  /** When the lease was asked for. */
  since: Moment;
  onRelease(): void;
}

/**
 * The lead, kept alive in etcd. What remains is counted from before the last keepalive was sent, so etcd never ends it sooner than
 * we think. Once it is over it stays over: whoever slept through its end has to ask for a new one.
 */
export class EtcdLease implements Lease, Fence {
  readonly id: string;
  readonly epoch: number;
  readonly revision: number;
  readonly #parts: EtcdLeaseParts;
  #since: Moment;
  #ttlMs: number;
  #over = false;
  #timer: Timer | null = null;
  readonly #ending = new AbortController();

  constructor(parts: EtcdLeaseParts) {
    this.#parts = parts;
    this.id = parts.id;
    this.epoch = parts.epoch;
    this.revision = parts.revision;
    this.#since = parts.since;
    this.#ttlMs = parts.ttlMs;
  }

  /** Begins to keep it alive. */
  start(): void {
    this.#keepLater(this.#ttlMs / 3);
  }

  remainingMs(): number {
    if (this.#over) return 0;
    const { monotonic, wall } = momentOf(this.#parts.clock);
    const passed = Math.max(monotonic - this.#since.monotonic, wall - this.#since.wall);
    if (passed >= this.#ttlMs) this.lost();
    return Math.max(0, this.#ttlMs - passed);
  }

  lost(): void {
    if (this.#over) return;
    this.#parts.logger.warn({ epoch: this.epoch }, 'the lead is lost');
    this.close();
  }

  /** Ends the keepalive; etcd ends the lease when its time has passed. */
  close(): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#timer = null;
    this.#ending.abort();
  }

  async release(): Promise<void> {
    this.close();
    const { client, id, logger, onRelease } = this.#parts;
    onRelease();
    try {
      await client.call('/v3/lease/revoke', { ID: id }, anyAnswer, { withinMs: RELEASE_MS });
    } catch (error) {
      logger.debug({ reason: messageOf(error) }, 'the lease could not be given back; it ends by itself');
    }
  }

  #keepLater(ms: number): void {
    this.#timer = this.#parts.clock.timer(ms, () => {
      this.#keep().catch((error: unknown) => {
        if (this.#over) return;
        this.#parts.logger.warn({ reason: messageOf(error), leftMs: this.remainingMs() }, 'the lead was not prolonged');
        if (this.remainingMs() > 0) this.#keepLater(RETRY_MS);
      });
    });
  }

  async #keep(): Promise<void> {
    const { client, clock, id } = this.#parts;
    if (this.remainingMs() <= 0) return;
    const sent = momentOf(clock);
    const answer = await client.call('/v3/lease/keepalive', { ID: id }, keepAliveAnswer, {
      withinMs: Math.max(1000, this.#parts.ttlMs / 3),
      signal: this.#ending.signal,
    });
    // An answer that comes after the end, by our count, prolongs nothing.
    if (this.remainingMs() <= 0) return;
    if (answer.result.TTL <= 0) {
      this.lost();
      return;
    }
    this.#since = sent;
    this.#ttlMs = answer.result.TTL * 1000;
    this.#keepLater(this.#ttlMs / 3);
  }
}
