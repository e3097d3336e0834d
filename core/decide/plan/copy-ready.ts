import type { CopyRecord } from '../../model/copy.ts';
import type { ClusterSnapshot } from '../../model/plan.ts';
import type { TaskStatus } from '../../model/task.ts';

type Seen = Pick<ClusterSnapshot, 'contacts'>;

/** What its machine last reported of a copy, if that is about what it should run now. */
export function taskInForce(snapshot: Seen, copy: CopyRecord): TaskStatus | null {
  if (copy.taskVersion !== copy.version || copy.taskGeneration !== copy.generation) return null;
  const task = snapshot.contacts.get(copy.machine)?.tasks?.get(copy.id);
  return task && task.version === copy.version && task.generation === copy.generation ? task : null;
}

/**
 * Since when a copy has run, and well, what it should (ms since the epoch); null: it does not. One that has exited, and may, counts
 * as ready since ever: there is nothing to wait for.
 */
export function readySince(snapshot: Seen, copy: CopyRecord): number | null {
  const task = taskInForce(snapshot, copy);
  if (!task) return null;
  if (task.phase === 'exited') return 0;
  const well = task.health === null || task.health.state === 'healthy';
  return task.phase === 'running' && !task.flapping && well ? Date.parse(task.since) : null;
}

export function isReady(snapshot: Seen, copy: CopyRecord): boolean {
  return readySince(snapshot, copy) !== null;
}

/** The number at the end of a copy's id: older copies have lower ones. */
export function serialOf(copy: Pick<CopyRecord, 'id'>): number {
  return Number(copy.id.slice(copy.id.lastIndexOf('.') + 1));
}
