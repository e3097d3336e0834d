import type { SshConnections } from '../remotes/ssh-connections.ts';
import { MACHINE_MARKER } from './claimed-host.ts';
import type { InventoryHost } from './inventory.ts';
import type { MachineNote } from './machine-notes.ts';
import type { HostHands } from './sitters.ts';

/** Makes hands on the hosts of one inventory, in the folder that is ours on each. */
export class HandsOnHosts {
  readonly #connections: SshConnections;
  readonly #folder: string;

  constructor(connections: SshConnections, folder: string) {
    this.#connections = connections;
    this.#folder = folder;
  }

  of({ clusterId, machineId }: Pick<MachineNote, 'clusterId' | 'machineId'>, host: InventoryHost): HostHands {
    const mark = { [MACHINE_MARKER]: `${clusterId}/${machineId}` };
    return {
      machineId,
      address: host.address,
      remote: this.#connections.remote(host.target, this.#folder),
      marked: (env) => this.#connections.remote(host.target, this.#folder, { ...env, ...mark }),
    };
  }
}
