import type { Instance } from '../../core/contracts/machine-provider.ts';
import type { MachineNote } from './machine-notes.ts';

/** A machine whose host was taken out of the inventory. It runs on, for all that is known: nobody can look, and nobody can end it. */
export function unlistedInstance(note: MachineNote): Instance {
  const { clusterId, machineId, zone, intent, host, address = null, endpoint = null } = note;
  return {
    ref: host,
    clusterId,
    machineId,
    zone,
    intent,
    state: 'pending',
    // Where it was last: as long as its sitter answers there, its tasks can be ended in order.
    address,
    endpoint,
    trouble: unlistedSentence(note),
  };
}

export function unlistedSentence({ host, machineId }: MachineNote): string {
  return `${host} is the machine ${machineId}, but is not in the inventory any more, so it can be neither looked at nor ended; put it back until the machine is gone`;
}
