import type { Instance } from '../../contracts/machine-provider.ts';
import type { MachineRecord } from '../../model/machine.ts';
import type { MachineContact } from '../../model/plan.ts';

/** Lists of large providers lag behind: a machine that was confirmed only lately, and is not on one yet, is not gone. */
const LISTED_WITHIN_MS = 60_000;

/**
 * What a provider's list says of a machine: `instance` as it stands there, if it does. Of a machine that was never confirmed, absence
 * says nothing: the order may still be on its way. `askedAt` (ms since the epoch): a list says nothing of what came after it was asked
 * for, however late it is read. `connected`: it is spoken with, so that a machine that became ready lately is there, whatever a list says.
 */
export function providerWord(
  machine: MachineRecord,
  instance: Instance | undefined,
  { askedAt, connected }: { askedAt: number; connected: boolean },
): MachineContact['providerSays'] {
  if (!instance) {
    const isThere = machine.state === 'booting' || (machine.state === 'ready' && connected);
    const young = isThere && askedAt - machine.stateSince < LISTED_WITHIN_MS;
    return machine.ref === null || young ? 'unknown' : 'gone';
  }
  return instance.state === 'pending' ? 'unknown' : instance.state;
}
