import type { MachineType } from '../../core/model/plan.ts';
import { overridden, type SshTarget, sshTarget } from '../remotes/ssh-target.ts';
import type { Config } from './schema.ts';

/** One host of the inventory. */
export interface InventoryHost {
  /** `rack1/web-3`: unique. */
  id: string;
  /** `ssh-rack1` */
  zone: string;
  address: string;
  target: SshTarget;
  type: MachineType;
  labels: Readonly<Record<string, string>>;
}

export function inventoryOf(config: Config, provider: string): InventoryHost[] {
  return Object.entries(config.zones).flatMap(([zone, { access, hosts }]) =>
    hosts.map((host) => ({
      id: `${zone}/${host.name}`,
      zone: `${provider}-${zone}`,
      address: host.address,
      target: sshTarget(host.address, overridden(config.access, access, host.access)),
      type: { name: `${provider}.${host.cpu}x${host.mem}`, cpu: host.cpu, mem: host.mem },
      labels: host.labels,
    })),
  );
}

/** The sizes of a zone, each once, smallest first. */
export function typesOf(hosts: readonly InventoryHost[], zone: string): MachineType[] {
  const types = new Map(hosts.filter((host) => host.zone === zone).map(({ type }) => [type.name, type]));
  return [...types.values()].sort((a, b) => a.cpu - b.cpu || a.mem - b.mem);
}
