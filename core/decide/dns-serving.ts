import type { CopyRecord } from '../model/copy.ts';
import type { ClusterSnapshot } from '../model/plan.ts';
import { healthOf } from './judge-machines.ts';

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

export function servingOf(copy: CopyRecord, snapshot: Snapshot): Serving {
  const machine = snapshot.machines.get(copy.machine);
  if (!machine || machine.address === null) return 'down';
  if (machine.state !== 'ready' && machine.state !== 'draining') return 'down';
  if (isLeaving(copy)) return 'leaving';
  if (copy.taskVersion !== copy.version) return 'down';
  if (healthOf(machine, snapshot) === 'unreachable') return 'silent';
  const tasks = snapshot.contacts.get(copy.machine)?.tasks;
  if (!tasks) return 'unknown';
  const task = tasks.get(copy.id);
  if (!task || task.version !== copy.version || task.phase !== 'running' || task.flapping) return 'down';
  return task.health === null || task.health.state === 'healthy' ? 'ready' : 'down';
}

/** It has a process that is to be ended by us: for good, or for another version. */
export function isLeaving(copy: CopyRecord): boolean {
  if (copy.wanted === 'stop') return true;
  return copy.taskVersion !== null && copy.taskVersion !== copy.version;
}
