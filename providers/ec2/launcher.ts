import type { Instance as Ec2Instance } from '@aws-sdk/client-ec2';
import type { Clock } from '../../core/contracts/clock.ts';
import { CerebroError } from '../../core/errors.ts';
import type { Catalogue } from './catalogue.ts';
import { codeOf, isUnknownInstance, mayHaveActed } from './ec2-errors.ts';
import type { Ec2Region } from './ec2-region.ts';
import { hostKeyOf } from './host-key.ts';
import type { LaunchBook, NotedOrder } from './launch-book.ts';
import { launchRequest } from './launch-request.ts';
import { pause } from './pause.ts';
import type { Config } from './schema.ts';
import type { Site } from './site.ts';
import { TAG, tagOf } from './tags.ts';
import { userData } from './user-data.ts';

export interface LauncherDeps {
  clock: Clock;
  api: Config['api'];
  catalogue: Catalogue;
  book: LaunchBook;
  /** The public halves of a site's SSH keys, as in authorized_keys. */
  authorizedKeys(site: Site): string[];
  signal(): AbortSignal;
}

/**
 * Makes instances and ends them, so that one order is never two instances, and what was made is never lost:
 * the order is on disk first, EC2 is asked what it has already, and the order's intent is the client token of the one request that
 * may be sent for it. An answer that is lost leaves a note until when something may appear.
 */
export class Launcher {
  readonly #deps: LauncherDeps;

  constructor(deps: LauncherDeps) {
    this.#deps = deps;
  }

  async launch(region: Ec2Region, site: Site, order: NotedOrder): Promise<Ec2Instance> {
    const known = await this.#knownFor(region, order);
    if (known) return this.#note(order, known);
    const { book, catalogue } = this.#deps;
    const image = await catalogue.image(site, await catalogue.architecture(site, order.type.name));
    const hostKey = hostKeyOf(order);
    const request = launchRequest(order, site, {
      image,
      subnet: await catalogue.subnet(site),
      userData: userData({ hostKey, authorizedKeys: this.#deps.authorizedKeys(site), script: site.user_data }),
      hostKey: hostKey.publicKey,
    });
    const before = book.get(order.machineId);
    book.write(order, { ref: before?.ref ?? null, hiddenUntil: this.#settled() });
    try {
      return this.#note(order, await region.run(request));
    } catch (error) {
      // The token is taken by an instance that was ordered in other words: the settings have changed since, or a newer image came.
      if (codeOf(error) === 'IdempotentParameterMismatch') return this.#note(order, await this.#byToken(region, order));
      if (!mayHaveActed(error)) {
        // This try made nothing; of an earlier one that may be different.
        if (before && before.hiddenUntil > this.#deps.clock.now()) book.write(order, before);
        else book.remove(order.machineId);
      }
      throw error;
    }
  }

  /**
   * Ends every instance of a machine, and resolves when EC2 says that they have ended, and nothing that was sent for it can appear
   * any more.
   */
  async end(regions: readonly Ec2Region[], clusterId: string, machineId: string): Promise<void> {
    const { clock, api, book, signal } = this.#deps;
    const deadline = clock.monotonic() + (api.settle + api.end) * 1000;
    const ended = new Set<string>();
    for (;;) {
      const left = (
        await Promise.all(
          regions.map((region) =>
            this.#endSeen(region, clusterId, machineId, ended).catch((error: unknown) => {
              throw region.explain(error);
            }),
          ),
        )
      ).flat();
      const hidden = this.#hiddenRef(clusterId, machineId, ended);
      if (left.length === 0 && !hidden && !this.#mayAppear(machineId)) break;
      if (clock.monotonic() > deadline)
        throw new CerebroError(
          'timeout',
          `${machineId} has been told to end, but EC2 still says ${left.join(', ') || 'nothing'} of it`,
        );
      await pause(clock, api.poll * 1000, signal());
      if (signal().aborted) throw new CerebroError('unavailable', `the end of ${machineId} was not waited for`);
    }
    if (book.get(machineId)?.order.clusterId === clusterId) book.remove(machineId);
  }

  /** Tells EC2 to end what it shows of the machine. Gives what has not ended yet, in words. */
  async #endSeen(region: Ec2Region, clusterId: string, machineId: string, ended: Set<string>): Promise<string[]> {
    const found = await region.instances(clusterId, machineId);
    const left: string[] = [];
    for (const one of found) {
      const [id, state] = [one.InstanceId ?? '', one.State?.Name ?? 'unknown'];
      if (state === 'terminated') ended.add(id);
      else left.push(`${id} (${state})`);
    }
    const living = found.filter(({ State }) => State?.Name !== 'terminated' && State?.Name !== 'shutting-down');
    if (living.length > 0)
      await this.#terminate(
        region,
        living.map(({ InstanceId }) => InstanceId ?? ''),
        machineId,
      );
    return left;
  }

  async #terminate(region: Ec2Region, ids: readonly string[], machineId: string): Promise<void> {
    try {
      await region.terminate(ids);
    } catch (error) {
      if (isUnknownInstance(error)) return; // shown, and denied: EC2 is not of one mind yet, and is asked again
      if (codeOf(error) === 'OperationNotPermitted')
        throw new CerebroError(
          'conflict',
          `${machineId} (${ids.join(', ')}) is under termination protection and is left alone: lift the protection, or end it by hand`,
          { cause: error },
        );
      throw error;
    }
  }

  /** What EC2 has for the order. An instance that has ended is an answer too: a second one is never made. */
  async #knownFor(region: Ec2Region, order: NotedOrder): Promise<Ec2Instance | undefined> {
    const found = await region.instances(order.clusterId, order.machineId);
    const other = found.find((one) => tagOf(one, TAG.intent) !== order.intent && one.State?.Name !== 'terminated');
    if (other)
      throw new CerebroError('conflict', `${order.machineId} exists already as ${other.InstanceId}, by another order`);
    const mine = found.filter((one) => tagOf(one, TAG.intent) === order.intent);
    return mine.find(({ State }) => State?.Name !== 'terminated') ?? mine[0];
  }

  async #byToken(region: Ec2Region, order: NotedOrder): Promise<Ec2Instance> {
    const { clock, api, signal } = this.#deps;
    const deadline = clock.monotonic() + api.settle * 1000;
    for (;;) {
      const found = await region.byToken(order.intent);
      if (found) return found;
      if (clock.monotonic() > deadline || signal().aborted)
        throw new CerebroError(
          'unavailable',
          `EC2 has made ${order.machineId} already and does not show it yet; it is asked again`,
        );
      await pause(clock, api.poll * 1000, signal());
    }
  }

  #note(order: NotedOrder, made: Ec2Instance): Ec2Instance {
    const { book } = this.#deps;
    if (made.State?.Name === 'terminated') book.remove(order.machineId);
    else book.write(order, { ref: made.InstanceId ?? null, hiddenUntil: this.#settled() });
    return made;
  }

  /** Something that was sent for this machine may have made an instance that nobody has seen. */
  #mayAppear(machineId: string): boolean {
    const noted = this.#deps.book.get(machineId);
    return noted !== undefined && noted.ref === null && noted.hiddenUntil > this.#deps.clock.now();
  }

  /** It is known to exist, was not seen to end, and may be hidden still. */
  #hiddenRef(clusterId: string, machineId: string, ended: ReadonlySet<string>): boolean {
    const noted = this.#deps.book.get(machineId);
    if (!noted?.ref || noted.order.clusterId !== clusterId || ended.has(noted.ref)) return false;
    return noted.hiddenUntil > this.#deps.clock.now();
  }

  #settled(): number {
    return this.#deps.clock.now() + this.#deps.api.settle * 1000;
  }
}
