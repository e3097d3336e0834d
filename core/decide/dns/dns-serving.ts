import type { CopyRecord } from '../../model/copy.ts';
import type { MachineRecord } from '../../model/machine.ts';
import type { ClusterSnapshot } from '../../model/plan.ts';
import { taskInForce } from '../plan/copy-ready.ts';
import { healthOf } from '../plan/judge-machines.ts';

const IPV4 = /^(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/;

export type Snapshot = Pick<
  ClusterSnapshot,
  'now' | 'startedAt' | 'jobs' | 'machines' | 'copies' | 'contacts' | 'limits'
>;

/**
 * What the pool may say of a copy.
 *
 *   ready    it runs what it should, and is well
 *   leaving  it runs, and is about to be stopped or restarted by us: it leaves its pool first
 *   silent   its machine is not heard: it may be down, or the line to it
 *   unknown  nothing has been heard yet since this cluster sitter began: what was, stays
 *   down     it does not serve
 */
export type Serving = 'ready' | 'leaving' | 'silent' | 'unknown' | 'down';

/** What an A record of this machine can hold; null where its address is not known, a host's name, or IPv6. */
export function ipv4Of(machine: MachineRecord | undefined): string | null {
  const address = machine?.address ?? null;
  return address !== null && IPV4.test(address) ? address : null;
}

export function servingOf(copy: CopyRecord, snapshot: Snapshot): Serving {
  const machine = snapshot.machines.get(copy.machine);
  if (!machine || ipv4Of(machine) === null) return 'down';
  if (machine.state !== 'ready' && machine.state !== 'draining') return 'down';
  if (isLeaving(copy)) return 'leaving';
  if (healthOf(machine, snapshot) === 'unreachable') return 'silent';
  if (!snapshot.contacts.get(copy.machine)?.tasks) return 'unknown';
  const task = taskInForce(snapshot, copy);
  if (task?.phase !== 'running' || task.flapping) return 'down';
  return task.health === null || task.health.state === 'healthy' ? 'ready' : 'down';
}

/** It has a process that is to be ended by us: for good, for another version, or for a restart that was asked for. */
export function isLeaving(copy: CopyRecord): boolean {
  if (copy.wanted === 'stop') return true;
  if (copy.taskVersion === null) return false;
  return copy.taskVersion !== copy.version || copy.taskGeneration !== copy.generation;
}
