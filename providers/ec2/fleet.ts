import type { Instance as Ec2Instance } from '@aws-sdk/client-ec2';
import type { Clock } from '../../core/contracts/clock.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import type { Instance } from '../../core/contracts/machine-provider.ts';
import { CerebroError, messageOf } from '../../core/errors.ts';
import type { SshTarget } from '../remotes/ssh-target.ts';
import type { Ec2Region } from './ec2-region.ts';
import { Evidence } from './evidence.ts';
import { instanceTarget } from './instance-target.ts';
import type { LaunchBook } from './launch-book.ts';
import { machineView } from './machine-view.ts';
import type { Config } from './schema.ts';
import type { Site } from './site.ts';
import { TAG, tagOf } from './tags.ts';

/** How long the machines of a region that does not answer are told as they were last seen. */
const STALE_MS = 600_000;

export interface FleetDeps {
  clock: Clock;
  logger: Logger;
  config: Config;
  regions: ReadonlyMap<string, Ec2Region>;
  sites: ReadonlyMap<string, Site>;
  book: LaunchBook;
  /** Something is not as it was at the last look. */
  onChange(): void;
}

interface Seen {
  region: string;
  instance: Ec2Instance;
}

/** The machines of all regions, as EC2 shows them, with what it hides yet and what speaks against them. */
export class Fleet {
  readonly #deps: FleetDeps;
  readonly #evidence: ReadonlyMap<string, Evidence>;
  /** What each region has shown, by cluster and region, then by instance. */
  readonly #shown = new Map<string, { at: number; instances: Map<string, { at: number; instance: Ec2Instance }> }>();
  /** By machine: the one that lives, or else the last. */
  readonly #seen = new Map<string, Seen>();
  readonly #told = new Map<string, string>();

  constructor(deps: FleetDeps) {
    this.#deps = deps;
    const { clock, logger, config, regions } = deps;
    const pollMs = config.api.status_poll * 1000;
    this.#evidence = new Map([...regions.keys()].map((name) => [name, new Evidence({ clock, logger, pollMs })]));
  }

  /** Throws `unavailable` when a region does not answer and was not heard of for long: what is not on the list would count as gone. */
  async describe(clusterId: string): Promise<Instance[]> {
    const perRegion = await Promise.all([...this.#deps.regions.values()].map((region) => this.#ask(region, clusterId)));
    // Those that live come last: where a machine has several, they count.
    const instances = perRegion.flat().sort((a, b) => Number(b.state === 'gone') - Number(a.state === 'gone'));
    const hidden = this.#hidden(clusterId, instances);
    const all = [...instances, ...hidden];
    const told = JSON.stringify(all);
    if (this.#told.get(clusterId) !== told) {
      this.#told.set(clusterId, told);
      this.#deps.onChange();
    }
    return all;
  }

  /** Takes note of an instance that EC2 has just made, or was found to have. */
  made(region: string, instance: Ec2Instance): void {
    const machineId = tagOf(instance, TAG.machine);
    if (machineId !== undefined) this.#seen.set(machineId, { region, instance });
  }

  knows(machineId: string): boolean {
    return this.#seen.has(machineId);
  }

  forget(clusterId: string, machineId: string): void {
    const seen = this.#seen.get(machineId);
    if (seen && tagOf(seen.instance, TAG.cluster) === clusterId) this.#seen.delete(machineId);
    for (const region of this.#deps.regions.keys()) {
      const shown = this.#shown.get(`${clusterId} ${region}`)?.instances;
      for (const [id, { instance }] of shown ?? []) if (tagOf(instance, TAG.machine) === machineId) shown?.delete(id);
    }
  }

  /** Where to look for a machine: its region, or all. */
  regionsOf(machineId: string): Ec2Region[] {
    const { regions, sites, book } = this.#deps;
    const noted = book.get(machineId)?.order.zone;
    const name = this.#seen.get(machineId)?.region ?? (noted === undefined ? undefined : sites.get(noted)?.region);
    const region = name === undefined ? undefined : regions.get(name);
    return region ? [region] : [...regions.values()];
  }

  /** The machine as it was last seen, and its site. */
  last(machineId: string): { instance: Instance; site: Site } | undefined {
    const seen = this.#seen.get(machineId);
    const site = seen && this.#deps.sites.get(tagOf(seen.instance, TAG.zone) ?? '');
    const instance = seen && machineView(seen.instance, site);
    return instance && site ? { instance, site } : undefined;
  }

  /** Throws `not_found` for a machine that EC2 has not shown, and `unavailable` for one without an address. */
  target(machineId: string, address: string | null): SshTarget {
    const seen = this.#seen.get(machineId);
    if (!seen) throw new CerebroError('not_found', `EC2 shows no machine "${machineId}"`);
    const site = this.#deps.sites.get(tagOf(seen.instance, TAG.zone) ?? '');
    if (!site)
      throw new CerebroError('invalid', `the zone of ${machineId} is not in the settings of provider-ec2 any more`);
    return instanceTarget(seen.instance, site, address);
  }

  async #ask(region: Ec2Region, clusterId: string): Promise<Instance[]> {
    const key = `${clusterId} ${region.name}`;
    const now = this.#deps.clock.monotonic();
    let instances: Ec2Instance[];
    let isStale = false;
    try {
      instances = this.#remember(key, await region.instances(clusterId));
    } catch (error) {
      const last = this.#shown.get(key);
      const explained = region.explain(error);
      if (!last || now - last.at > STALE_MS || this.#deps.regions.size === 1) throw explained;
      instances = [...last.instances.values()].map(({ instance }) => instance);
      isStale = true;
      this.#deps.logger.warn({ region: region.name }, `its machines are told as last seen: ${messageOf(explained)}`);
    }
    // Old news is no evidence of anything.
    if (!isStale) this.#forgetUnshown(region.name, clusterId, instances);
    const evidence = isStale ? undefined : await this.#evidence.get(region.name)?.against(region, instances);
    return instances.flatMap((found) => {
      const view = machineView(found, this.#deps.sites.get(tagOf(found, TAG.zone) ?? ''));
      if (!view) return [];
      const before = this.#seen.get(view.machineId);
      // What has ended is nobody's machine any more, though EC2 shows it for an hour: only the last of one that we knew.
      if (view.state !== 'gone' || before?.instance.InstanceId === view.ref)
        this.#seen.set(view.machineId, { region: region.name, instance: found });
      const trouble = view.state === 'gone' ? view.trouble : (evidence?.get(view.ref) ?? view.trouble);
      return [trouble === undefined ? view : { ...view, trouble }];
    });
  }

  #forgetUnshown(region: string, clusterId: string, shown: readonly Ec2Instance[]): void {
    const ids = new Set(shown.map(({ InstanceId }) => InstanceId));
    for (const [machineId, seen] of this.#seen) {
      const listed = ids.has(seen.instance.InstanceId) || this.#deps.book.get(machineId) !== undefined;
      if (seen.region === region && tagOf(seen.instance, TAG.cluster) === clusterId && !listed)
        this.#seen.delete(machineId);
    }
  }

  /**
   * The answer, with what it leaves out for no reason: EC2 shows an instance for an hour after its end, so one that lived at the last
   * look and is missing at this one was asked of a part of EC2 that is behind.
   */
  #remember(key: string, answer: readonly Ec2Instance[]): Ec2Instance[] {
    const now = this.#deps.clock.monotonic();
    const before = this.#shown.get(key)?.instances ?? new Map();
    const after = new Map(answer.map((instance) => [instance.InstanceId ?? '', { at: now, instance }]));
    for (const [id, last] of before) {
      const lived = last.instance.State?.Name !== 'terminated';
      if (!after.has(id) && lived && now - last.at < this.#deps.config.api.settle * 1000) after.set(id, last);
    }
    this.#shown.set(key, { at: now, instances: after });
    return [...after.values()].map(({ instance }) => instance);
  }

  /** What was made and is not shown yet: EC2 is of several minds for a while, and not found is not dead. */
  #hidden(clusterId: string, shown: readonly Instance[]): Instance[] {
    const now = this.#deps.clock.now();
    const refs = new Set(shown.map(({ ref }) => ref));
    return this.#deps.book.all().flatMap(({ order, ref, hiddenUntil }) => {
      if (order.clusterId !== clusterId || ref === null || refs.has(ref) || hiddenUntil < now) return [];
      const { machineId, zone, intent } = order;
      return [{ ref, clusterId, machineId, zone, intent, state: 'pending' as const, address: null, endpoint: null }];
    });
  }
}
