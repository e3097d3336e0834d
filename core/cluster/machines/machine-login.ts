import type { MachineProvider } from '../../contracts/machine-provider.ts';
import { didYouMean } from '../../decide/words/nearest-names.ts';
import { CerebroError } from '../../errors.ts';
import type { MachineRecord } from '../../model/machine.ts';
import type { MachineLogin } from '../../model/machine-login.ts';
import { providerOf } from '../../model/zone.ts';
import type { ClusterRecords } from '../records/cluster-records.ts';

/** How to get onto a machine: by its id, by a copy, or by a job that runs on one machine only. */
export async function loginTo(
  what: string,
  records: Pick<ClusterRecords, 'machines' | 'copies' | 'jobs'>,
  providers: ReadonlyMap<string, MachineProvider>,
): Promise<MachineLogin> {
  const machine = machineOf(what, records);
  const name = providerOf(machine.zone);
  const provider = providers.get(name);
  if (!provider?.login)
    throw new CerebroError('unsupported', `the provider "${name}" of ${machine.id} offers no login`);
  return provider.login({ machineId: machine.id, address: machine.address });
}

function machineOf(
  what: string,
  { machines, copies, jobs }: Pick<ClusterRecords, 'machines' | 'copies' | 'jobs'>,
): MachineRecord {
  const id = machines.has(what) ? what : (copies.get(what)?.machine ?? onlyMachineOf(what, copies, jobs));
  const machine = id === undefined ? undefined : machines.get(id);
  if (machine) return machine;
  const names = [...machines.keys(), ...copies.keys(), ...jobs.keys()];
  throw new CerebroError('not_found', `there is no machine, copy or job "${what}"${didYouMean(what, names)}`);
}

function onlyMachineOf(
  job: string,
  copies: ClusterRecords['copies'],
  jobs: ClusterRecords['jobs'],
): string | undefined {
  if (!jobs.has(job)) return undefined;
  const found = [...new Set([...copies.values()].filter((copy) => copy.job === job).map(({ machine }) => machine))];
  if (found.length === 0)
    throw new CerebroError('not_found', `"${job}" has no copies now, so there is no machine to log in to`);
  if (found.length > 1)
    throw new CerebroError('ambiguous', `"${job}" runs on several machines; name one: ${found.sort().join(', ')}`);
  return found[0];
}
