import type { Instance as Ec2Instance } from '@aws-sdk/client-ec2';
import type { Clock } from '../../core/contracts/clock.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import type { Ec2Region } from './ec2-region.ts';
import { statusTrouble } from './machine-view.ts';

const SPOT_NOTICE = 'EC2 takes this spot instance back within two minutes';

export interface EvidenceDeps {
  clock: Clock;
  logger: Logger;
  /** Milliseconds between two looks. */
  pollMs: number;
}

/**
 * What speaks against the instances of a region: spot notices, scheduled events, failing status checks. Asked for now and then; where
 * EC2 does not say, nothing is said.
 */
export class Evidence {
  readonly #deps: EvidenceDeps;
  #troubles: ReadonlyMap<string, string> = new Map();
  #nextAt = Number.NEGATIVE_INFINITY;
  #nextSpotAt = Number.NEGATIVE_INFINITY;
  #notices: ReadonlySet<string> = new Set();

  constructor(deps: EvidenceDeps) {
    this.#deps = deps;
  }

  /** One sentence for each instance that there is something against. */
  async against(region: Ec2Region, found: readonly Ec2Instance[]): Promise<ReadonlyMap<string, string>> {
    const running = found.filter(({ State }) => State?.Name === 'running');
    const now = this.#deps.clock.monotonic();
    if (now >= this.#nextAt && running.length > 0) {
      this.#nextAt = now + this.#deps.pollMs;
      await this.#try('DescribeInstanceStatus', async () => {
        const statuses = await region.statuses(running.flatMap(({ InstanceId }) => InstanceId ?? []));
        this.#troubles = new Map(
          statuses.flatMap((status) => {
            const trouble = statusTrouble(status);
            return status.InstanceId && trouble !== undefined ? [[status.InstanceId, trouble] as const] : [];
          }),
        );
      });
    }
    const spot = running.filter(({ InstanceLifecycle }) => InstanceLifecycle === 'spot');
    // A notice comes two minutes before the end: it is looked for more often than the rest.
    if (now >= this.#nextSpotAt && spot.length > 0) {
      this.#nextSpotAt = now + this.#deps.pollMs / 4;
      await this.#try('DescribeSpotInstanceRequests', async () => {
        this.#notices = new Set(await region.spotNotices(spot.flatMap(({ InstanceId }) => InstanceId ?? [])));
      });
    }
    return new Map([...this.#troubles, ...[...this.#notices].map((id) => [id, SPOT_NOTICE] as const)]);
  }

  async #try(action: string, ask: () => Promise<void>): Promise<void> {
    try {
      await ask();
    } catch (error) {
      this.#deps.logger.debug({ action, err: error }, 'EC2 does not tell how its instances are');
    }
  }
}
