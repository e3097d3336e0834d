import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
import type { PageRequest } from '../../core/contracts/ui.ts';
import { CerebroError } from '../../core/errors.ts';
import type { History, HistorySpan } from '../../core/model/history.ts';

/** A machine that hangs may take long to give up on; nobody waits that long for a page. */
const ASK_MS = 2000;

/** What only the machine knows, or the sentence why it cannot be asked: the rest of the page is there all the same. */
export async function askMachine<T>(work: Promise<T>): Promise<{ answer: T } | { problem: string }> {
  try {
    return { answer: await within(ASK_MS, work) };
  } catch (error) {
    if (!(error instanceof CerebroError) || error.code === 'internal') throw error;
    return { problem: error.message };
  }
}

export interface Past {
  span: HistorySpan;
  history: History | null;
  historyProblem: string | null;
}

/** The charts' part of a page: `?span=day`, or else the hour. */
export async function pastOf(
  of: Parameters<ClusterApi['history']>[0],
  { query }: PageRequest,
  api: ClusterApi,
): Promise<Past> {
  const span = query.get('span') === 'day' ? 'day' : 'hour';
  const asked = await askMachine(api.history(of, span));
  if ('problem' in asked) return { span, history: null, historyProblem: asked.problem };
  return { span, history: asked.answer, historyProblem: null };
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    const late = new CerebroError('timeout', `it did not answer within ${ms / 1000} s`);
    timer = setTimeout(() => reject(late), ms);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
