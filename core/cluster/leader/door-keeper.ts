import type { Clock, Timer } from '../../contracts/clock.ts';
import type { Logger } from '../../contracts/logger.ts';
import { messageOf } from '../../errors.ts';
import { RENEWAL_SHARE, type TlsIdentity } from '../../model/tls-identity.ts';

const LOOK_MS = 3600_000;
const RETRY_MS = 10_000;

export interface DoorKeeperDeps {
  /** A certificate that is good for `lifetimeMs`. */
  issue(): Promise<TlsIdentity>;
  lifetimeMs: number;
  /** Shows it from the next connection on. */
  use(identity: TlsIdentity): void;
  clock: Clock;
  logger: Logger;
}

/** Sees to it that the door for other cluster sitters always has a certificate. It is kept in memory alone: each start makes a new one. */
export class DoorKeeper {
  readonly #deps: DoorKeeperDeps;
  #timer: Timer | null = null;
  #renewing: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(deps: DoorKeeperDeps) {
    this.#deps = deps;
  }

  /** Throws when there is no certificate to be had. */
  async start(): Promise<void> {
    this.#stopped = false;
    await this.#renew();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = null;
    await this.#renewing;
  }

  async #renew(): Promise<void> {
    const { issue, use, lifetimeMs } = this.#deps;
    use(await issue());
    this.#later(Math.min(LOOK_MS, lifetimeMs * (1 - RENEWAL_SHARE)));
  }

  #later(ms: number): void {
    if (this.#stopped) return;
    this.#timer = this.#deps.clock.timer(ms, () => {
      this.#renewing = this.#renew().catch((error: unknown) => {
        this.#deps.logger.warn(
          { reason: messageOf(error) },
          'the certificate for other cluster sitters could not be renewed; it is tried again',
        );
        this.#later(RETRY_MS);
      });
    });
  }
}
