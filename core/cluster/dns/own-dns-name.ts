import type { Clock } from '../../contracts/clock.ts';
import { basenameOf } from '../../decide/dns/dns-names.ts';
import { ipv4Of } from '../../decide/dns/dns-serving.ts';
import type { CopyRecord } from '../../model/copy.ts';
import type { ClusterRecords } from '../records/cluster-records.ts';
import type { DnsHomes } from './dns-homes.ts';

/** A recipe waits no longer for its copy's name to be decided, which takes one pass over the records. */
const DECIDED_MS = 10_000;
const LOOK_MS = 50;

interface Deps {
  records: Pick<ClusterRecords, 'dns' | 'jobs' | 'machines'>;
  homes: Pick<DnsHomes, 'within'>;
  clock: Clock;
}

/**
 * The name of a copy, as soon as it is decided, which is before the copy runs: its number is its own by then, whether or not the DNS
 * server has heard of it. null: it gets none, since its job asks for none, or nobody keeps such names, or its machine has no IPv4 address.
 */
export async function ownDnsName(copy: CopyRecord, { records, homes, clock }: Deps): Promise<string | null> {
  const job = records.jobs.get(copy.job);
  const basename = job ? basenameOf(job.spec) : null;
  if (basename === null || ipv4Of(records.machines.get(copy.machine)) === null) return null;
  const deadline = clock.monotonic() + DECIDED_MS;
  if ((await homes.within(basename, DECIDED_MS)).kind !== 'at') return null;
  for (;;) {
    const found = [...records.dns.values()].find((record) => record.kind === 'copy' && record.copy === copy.id);
    if (found && found.basename === basename) return found.name;
    if (clock.monotonic() >= deadline) return null;
    await new Promise<void>((resolve) => clock.timer(LOOK_MS, resolve));
  }
}
