import type { CopyRecord } from '../../model/copy.ts';
import type { JobRecord } from '../../model/job.ts';
import type { ClusterSnapshot } from '../../model/plan.ts';

/** Clocks that run apart, and an answer that was under way. */
const LEASH_SLACK_MS = 5000;

/**
 * When a copy that may not run twice has certainly stopped itself on a machine that nobody hears: the machine was given up after
 * `lost_after`, which is its leash, and stopping takes its time. 0: it has, for the machine is no more.
 */
export function singletonFreeAt(snapshot: ClusterSnapshot, copy: CopyRecord, job: JobRecord): number {
  const machine = snapshot.machines.get(copy.machine);
  if (!machine || snapshot.contacts.get(copy.machine)?.providerSays === 'gone') return 0;
  const { contacts, limits, now } = snapshot;
  const given = machine.state === 'lost' ? machine.stateSince : now;
  // It may have been given up before its leash was over: on the provider's word that it is stopped.
  const since = Math.max(given, (contacts.get(copy.machine)?.heardAt ?? 0) + limits.lostAfterMs);
  return since + job.spec.task_configuration.stop_timeout * 1000 + LEASH_SLACK_MS;
}
