import type { Instance } from '../contracts/machine-provider.ts';
import type { MachineRecord } from '../model/machine.ts';
import type { MachineContact } from '../model/plan.ts';

/** Lists of large providers lag behind: a machine that was confirmed only lately, and is not on one yet, is not gone. */
const LISTED_WITHIN_MS = 60_000;

/** What a provider's list says of a machine. Of one that was never confirmed, absence says nothing: the order may still be on its way. */
export function providerWord(
  machine: MachineRecord,
  instance: Instance | undefined,
  now: number,
): MachineContact['providerSays'] {
  if (!instance) {
    const young = machine.state === 'booting' && now - machine.stateSince < LISTED_WITHIN_MS;
    return machine.ref === null || young ? 'unknown' : 'gone';
  }
  return instance.state === 'pending' ? 'unknown' : instance.state;
}
