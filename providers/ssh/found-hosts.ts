import type { FleetFound, FoundMachine } from '../../core/contracts/machine-provider.ts';
import { CerebroError, messageOf } from '../../core/errors.ts';
import type { TaskDefinition } from '../../core/model/task.ts';
import type { SshConnections } from '../remotes/ssh-connections.ts';
import { type Claim, readClaim } from './claimed-host.ts';
import type { HandsOnHosts } from './host-hands.ts';
import type { InventoryHost } from './inventory.ts';
import type { HostHands, Sitters } from './sitters.ts';

/** Hosts that are looked at at the same time: those that do not answer take their whole `connect_timeout`. */
const AT_ONCE = 64;

export interface FoundHostsDeps {
  hosts: readonly InventoryHost[];
  connections: SshConnections;
  hands: HandsOnHosts;
  sitters: Sitters;
  /** Our folder on each host. */
  folder: string;
}

/** What the hosts of an inventory are by their own claims, whoever's machines that makes them: to be shown, and adopted. */
export class FoundHosts {
  readonly #deps: FoundHostsDeps;

  constructor(deps: FoundHostsDeps) {
    this.#deps = deps;
  }

  async survey(): Promise<FleetFound> {
    const found: FleetFound = { machines: [], problems: [] };
    const waiting = [...this.#deps.hosts];
    const take = async (): Promise<void> => {
      for (let host = waiting.shift(); host; host = waiting.shift()) {
        try {
          const claim = await this.#claimOn(host);
          if (claim) found.machines.push(await this.#machineOn(host, claim));
        } catch (error) {
          found.problems.push(`${host.id} in ${host.zone} could not be looked at: ${messageOf(error)}`);
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, take));
    return found;
  }

  readTasks(found: FoundMachine): Promise<TaskDefinition[]> {
    return this.#withHands(this.#hostOf(found), found, (hands) => this.#deps.sitters.readTasks(hands));
  }

  /** The host of a machine that was found. Throws `conflict` where it is another's, or nobody's, by now. */
  async confirm(found: FoundMachine): Promise<InventoryHost> {
    const host = this.#hostOf(found);
    const claim = await this.#claimOn(host);
    const { clusterId, machineId, intent } = found;
    if (claim?.clusterId === clusterId && claim.machineId === machineId && claim.intent === intent) return host;
    const now = claim ? `${claim.machineId} of the cluster ${claim.clusterId}` : 'nobody’s machine';
    throw new CerebroError('conflict', `${host.id} was ${machineId} of the cluster ${clusterId}, and is ${now} by now`);
  }

  /** Not in our folder: to be there would make it. */
  async #claimOn(host: InventoryHost): Promise<Claim | undefined> {
    const remote = this.#deps.connections.remote(host.target);
    try {
      return await readClaim(remote, `${this.#deps.folder}/claim`);
    } finally {
      await remote.close();
    }
  }

  async #machineOn(host: InventoryHost, { clusterId, machineId, intent }: Claim): Promise<FoundMachine> {
    const { id: ref, zone, address, type } = host;
    const endpoint = await this.#withHands(host, { clusterId, machineId }, (hands) => this.#deps.sitters.url(hands));
    const state = endpoint === null ? 'pending' : 'running';
    return { ref, clusterId, machineId, zone, intent, state, address, endpoint, type };
  }

  async #withHands<T>(
    host: InventoryHost,
    whose: Pick<Claim, 'clusterId' | 'machineId'>,
    work: (hands: HostHands) => Promise<T>,
  ): Promise<T> {
    const hands = this.#deps.hands.of(whose, host);
    try {
      return await work(hands);
    } finally {
      await hands.remote.close();
    }
  }

  #hostOf({ ref, machineId }: FoundMachine): InventoryHost {
    const host = this.#deps.hosts.find(({ id }) => id === ref);
    if (host) return host;
    throw new CerebroError('not_found', `${ref}, which is ${machineId}, is not in the inventory`);
  }
}
