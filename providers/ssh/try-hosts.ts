import type { Instance, MachineOrder, NoCapacity } from '../../core/contracts/machine-provider.ts';
import { CerebroError } from '../../core/errors.ts';
import type { InventoryHost } from './inventory.ts';
import type { MachineNote } from './machine-notes.ts';

/**
 * Tries the hosts that will do for an order, one after the other; `tryHost` gives the machine, or why it cannot be that host. Throws
 * `unavailable`, or `no_capacity` where all of them are machines of the same cluster.
 */
export async function tryHosts(
  order: MachineOrder,
  candidates: readonly InventoryHost[],
  notes: readonly MachineNote[],
  tryHost: (host: InventoryHost) => Promise<Instance | string>,
): Promise<Instance> {
  const { clusterId, machineId, zone, type } = order;
  const others = notes.filter((note) => note.machineId !== machineId && note.clusterId === clusterId);
  const refusals: string[] = [];
  let taken = 0;
  for (const host of candidates) {
    const other = others.find((note) => note.host === host.id);
    if (other) taken += 1;
    const refusal = other ? `${host.id} is ${other.machineId}` : await tryHost(host);
    if (typeof refusal !== 'string') return refusal;
    refusals.push(refusal);
  }
  const why = refusals.length > 0 ? refusals.join('; ') : 'the inventory has none';
  const sentence = `no host of the size ${type.name} is free in ${zone}: ${why}`;
  // Only where none could be free: one that does not answer may do so soon.
  if (taken < candidates.length || candidates.length === 0) throw new CerebroError('unavailable', sentence);
  const details: NoCapacity = { zone, type: type.name, why: 'sold_out' };
  throw new CerebroError('no_capacity', sentence, { details });
}
