import { canonical } from '../../model/job.ts';
import type { TaskDefinition } from '../../model/task.ts';
import type { TaskEvent, TaskLife } from './task-life.ts';

/** How an ordered definition differs from the one that is there; `aside`: in nothing that the task runs with. */
export type OrderChange = 'new' | 'same' | 'aside' | 'runs-other';

export function changeOf(before: TaskDefinition, after: TaskDefinition): Exclude<OrderChange, 'new'> {
  if (canonical(before) === canonical(after)) return 'same';
  const same =
    canonical(before.configuration) === canonical(after.configuration) &&
    before.version === after.version &&
    before.generation === after.generation;
  return same ? 'aside' : 'runs-other';
}

/** What an order means for the task's life, so that definition and life can be written as one; null: its life goes on as it is. */
export function eventOfOrder(
  life: Pick<TaskLife, 'phase' | 'wanted'>,
  order: { change: OrderChange; start: boolean; version: number; sameVersion?: boolean },
): TaskEvent | null {
  const { change, start, version, sameVersion = false } = order;
  const why = sameVersion ? 'restarted, as was ordered' : `changed to version ${version}`;
  const runsOther = change === 'runs-other';
  switch (life.phase) {
    case 'stopped':
    case 'failed':
      return start ? { kind: 'start', why: change === 'new' ? 'added' : 'started again' } : null;
    case 'exited':
      // It came to the end that it was made for; only something else to run is a reason to run again.
      return start && runsOther ? { kind: 'start', why: 'started again' } : null;
    case 'stopping':
      if (life.wanted === 'stop') return start ? { kind: 'start', why: 'started again' } : null;
      return runsOther ? restart(why) : null;
    case 'starting':
    case 'running':
    case 'backoff':
      return runsOther ? restart(why) : null;
  }
}

function restart(why: string): TaskEvent {
  return { kind: 'restart', reason: 'deploy', why };
}
