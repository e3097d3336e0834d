import type { MachineProvider } from '../../contracts/machine-provider.ts';
import { CerebroError } from '../../errors.ts';
import type { MachineRecord } from '../../model/machine.ts';
import type { TlsIdentity } from '../../model/tls-identity.ts';
import { providerOf } from '../../model/zone.ts';

/** Puts a certificate onto a machine the way round its sitter, for one that cannot be spoken to. Throws `unsupported` where there is none. */
export async function renewByProvider(
  provider: MachineProvider | undefined,
  machine: Pick<MachineRecord, 'id' | 'zone'>,
  identity: TlsIdentity,
): Promise<void> {
  if (!provider?.renewIdentity) {
    throw new CerebroError(
      'unsupported',
      `the provider "${providerOf(machine.zone)}" has no way to put a new one there; drain or replace the machine`,
    );
  }
  await provider.renewIdentity(machine.id, identity);
}
