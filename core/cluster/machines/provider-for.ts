import type { MachineProvider } from '../../contracts/machine-provider.ts';
import { CerebroError } from '../../errors.ts';
import type { MachineRecord } from '../../model/machine.ts';
import { providerOf } from '../../model/zone.ts';

/** Throws `unavailable` where the provider of a machine is not among the plugins any more. */
export function providerFor(
  providers: ReadonlyMap<string, MachineProvider>,
  machine: Pick<MachineRecord, 'id' | 'zone'>,
): MachineProvider {
  const name = providerOf(machine.zone);
  const provider = providers.get(name);
  if (provider) return provider;
  throw new CerebroError('unavailable', `the provider "${name}" of ${machine.id} is not loaded`);
}
