import { type MachineType, sizeKey } from '../../core/model/plan.ts';
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
      type: {
        // The same name whatever its labels: jobs ask for sizes by it.
        name: `${provider}.${host.cpu}x${host.mem}`,
        cpu: host.cpu,
        mem: host.mem,
        ...(Object.keys(host.labels).length > 0 && { labels: { ...host.labels } }),
      },
      labels: host.labels,
    })),
  );
}

/** The sizes of a zone, each once with each set of labels, smallest first. */
export function typesOf(hosts: readonly InventoryHost[], zone: string): MachineType[] {
  const types = new Map(hosts.filter((host) => host.zone === zone).map(({ type }) => [sizeKey(zone, type), type]));
  return [...types.values()].sort((a, b) => a.cpu - b.cpu || a.mem - b.mem || labelsOf(a) - labelsOf(b));
}

/** The hosts that will do for an order: of its size, with its labels; those with the fewest others first, which others may need. */
export function hostsFor(hosts: readonly InventoryHost[], order: { zone: string; type: MachineType }): InventoryHost[] {
  const wanted = Object.entries(order.type.labels ?? {});
  return hosts
    .filter((host) => host.zone === order.zone && host.type.name === order.type.name)
    .filter((host) => wanted.every(([label, value]) => host.labels[label] === value))
    .sort((a, b) => labelsOf(a) - labelsOf(b));
}

function labelsOf({ labels }: { labels?: Readonly<Record<string, string>> }): number {
  return Object.keys(labels ?? {}).length;
}
