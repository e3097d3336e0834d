import { z } from 'zod';
import type { Mode } from '../define-plugin.ts';
import type { ClusterClient } from './cluster-client.ts';

const AGAIN_MS = 250;

/** What is asked of a task, whatever version answers. */
const seenTask = z.object({ id: z.string(), run: z.number(), pid: z.number().nullable(), reason: z.string() });
type SeenTask = z.infer<typeof seenTask>;

/** The tasks that had a process. */
export type TaskCensus = ReadonlyMap<string, SeenTask>;

export interface CensusChange {
  /** Tasks with the process that they had. */
  kept: string[];
  /** One sentence for each of the others: a new run, an end, or no word of it. */
  others: string[];
}

/** The tasks of a machine, or of a cluster's copies as far as their machines have told of them. */
export async function takeCensus(client: ClusterClient, mode: Mode): Promise<TaskCensus> {
  const all =
    mode === 'machine'
      ? await client.get('/api/v1/tasks', z.array(seenTask))
      : (await client.get('/api/v1/copies', z.array(z.object({ task: seenTask.nullable() })))).map(({ task }) => task);
  return new Map(all.flatMap((task) => (task === null || task.pid === null ? [] : [[task.id, task]])));
}

/**
 * Asks again until every task of `before` is known of, or `deadlineMs` is over: a cluster hears of its copies one by one, and a daemon
 * that has just begun may be slow to answer. Throws what the last try threw, where none was answered.
 */
export async function censusAfter(
  client: ClusterClient,
  mode: Mode,
  before: TaskCensus,
  deadlineMs: number,
): Promise<CensusChange> {
  const until = performance.now() + deadlineMs;
  for (;;) {
    const isLast = performance.now() > until;
    try {
      const after = await takeCensus(client, mode);
      if ([...before.keys()].every((id) => after.has(id)) || isLast) return compare(before, after);
    } catch (error) {
      if (isLast) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

function compare(before: TaskCensus, after: TaskCensus): CensusChange {
  const kept: string[] = [];
  const others: string[] = [];
  for (const [id, then] of before) {
    const now = after.get(id);
    if (now?.run === then.run && now.pid === then.pid) kept.push(id);
    else if (now)
      others.push(`${id} is in run ${now.run} as pid ${now.pid}, and was in run ${then.run}: ${now.reason}`);
    else others.push(`${id} has no process any more, as far as is known; it was pid ${then.pid}`);
  }
  return { kept, others };
}
