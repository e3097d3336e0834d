import type { Instance as Ec2Instance } from '@aws-sdk/client-ec2';
import type { FleetFound, FoundMachine } from '../../core/contracts/machine-provider.ts';
import { CerebroError } from '../../core/errors.ts';
import type { TaskDefinition } from '../../core/model/task.ts';
import type { Catalogue } from './catalogue.ts';
import type { Ec2Region } from './ec2-region.ts';
import type { Fleet } from './fleet.ts';
import { instanceTarget } from './instance-target.ts';
import { sizeName } from './machine-size.ts';
import { machineView } from './machine-view.ts';
import type { Site } from './site.ts';
import type { SitterBringer } from './sitter-bringer.ts';
import { TAG, tagOf } from './tags.ts';

export interface FoundInstancesDeps {
  regions: ReadonlyMap<string, Ec2Region>;
  sites: ReadonlyMap<string, Site>;
  catalogue: Pick<Catalogue, 'sizeOf'>;
  fleet: Pick<Fleet, 'made'>;
  sitters: Pick<SitterBringer, 'readTasks'>;
}

interface Seen {
  region: string;
  instance: Ec2Instance;
  site: Site;
}

/** The instances of whichever cluster, by their tags: to be shown, and adopted. Apart from the fleet, which knows machines by names that another cluster has too. */
export class FoundInstances {
  readonly #deps: FoundInstancesDeps;
  /** Of the last survey, by instance id. */
  #seen: ReadonlyMap<string, Seen> = new Map();

  constructor(deps: FoundInstancesDeps) {
    this.#deps = deps;
  }

  async survey(): Promise<FleetFound> {
    const found: FleetFound = { machines: [], problems: [] };
    const seen = new Map<string, Seen>();
    await Promise.all(
      [...this.#deps.regions.values()].map(async (region) => {
        try {
          for (const instance of await region.tagged()) await this.#add(found, seen, region, instance);
        } catch (error) {
          found.problems.push(`EC2 in ${region.name} was not looked at to its end: ${region.explain(error).message}`);
        }
      }),
    );
    this.#seen = seen;
    return found;
  }

  readTasks({ ref, machineId }: FoundMachine): Promise<TaskDefinition[]> {
    const { instance, site } = this.#of(ref);
    return this.#deps.sitters.readTasks(machineId, instanceTarget(instance, site));
  }

  /** EC2 has the tags already; it is only that orders to its name are for this instance from now on. */
  takeOver({ ref }: FoundMachine): void {
    const { region, instance } = this.#of(ref);
    this.#deps.fleet.made(region, instance);
  }

  async #add(found: FleetFound, seen: Map<string, Seen>, region: Ec2Region, instance: Ec2Instance): Promise<void> {
    const site = this.#deps.sites.get(tagOf(instance, TAG.zone) ?? '');
    const view = machineView(instance, site);
    if (!view || view.state === 'gone') return;
    if (!site) {
      const { ref, machineId, clusterId, zone } = view;
      found.problems.push(
        `${ref} is ${machineId} of the cluster ${clusterId}; its zone ${zone} is not in the settings of provider-ec2: name it there to adopt the machine`,
      );
      return;
    }
    const size = sizeName({ instanceType: instance.InstanceType ?? '', spot: instance.InstanceLifecycle === 'spot' });
    try {
      const type = await this.#deps.catalogue.sizeOf(site, size);
      seen.set(view.ref, { region: region.name, instance, site });
      found.machines.push({ ...view, type });
    } catch (error) {
      found.problems.push(`${view.ref}, which is ${view.machineId}: ${region.explain(error).message}`);
    }
  }

  #of(ref: string): Seen {
    const seen = this.#seen.get(ref);
    if (seen) return seen;
    throw new CerebroError('not_found', `EC2 did not show ${ref} when it was last asked for everything; ask again`);
  }
}
