import type { CopyRecord } from '../../model/copy.ts';
import type { ClusterSnapshot } from '../../model/plan.ts';
import { taskInForce } from './copy-ready.ts';

type Seen = Pick<ClusterSnapshot, 'jobs' | 'contacts'>;

/** A copy of a run that has ended, well or by our hand: it is kept for its logs' sake, takes no room and keeps no machine. */
export function isOver(snapshot: Seen, copy: CopyRecord): boolean {
  if (copy.run === null) return false;
  const job = snapshot.jobs.get(copy.job);
  if (!job || job.state === 'removing') return false;
  return !job.runs.some((run) => run.id === copy.run && run.state === 'running') && endedThere(snapshot, copy);
}

/** Whether nothing of it runs any more. */
function endedThere(snapshot: Seen, copy: CopyRecord): boolean {
  const phase = taskInForce(snapshot, copy)?.phase;
  return copy.outcome !== null || phase === 'exited' || phase === 'failed' || phase === 'stopped';
}
