import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
import type { Page, PageAnswer } from '../../core/contracts/ui.ts';
import { CerebroError } from '../../core/errors.ts';
import type { RunEnd } from '../../core/model/task.ts';
import { pageAbout, TIMELINE } from './gone-page.ts';

/** A machine that hangs may take long to give up on; nobody waits that long for a page. */
const ENDS_MS = 2000;

export const copyPages: readonly Page[] = [
  {
    method: 'GET',
    path: '/copies/:id',
    answer: ({ params }, api) => {
      const copy = params.id ?? '';
      return pageAbout({ copy }, api, () => copyPage(copy, api));
    },
  },
  {
    method: 'POST',
    path: '/copies/:id/restart',
    answer: async ({ params, by }, api) => {
      const id = params.id ?? '';
      await api.restartCopies({ copy: id }, by);
      return { redirect: `/copies/${encodeURIComponent(id)}`, notice: `${id} is being restarted.` };
    },
  },
];

async function copyPage(id: string, api: ClusterApi): Promise<PageAnswer> {
  const copy = api.copy(id);
  const [events, ends] = await Promise.all([api.events({ copy: id, limit: TIMELINE }), endsOf(copy.copy, api)]);
  return { template: 'copy.njk', title: id, data: { copy, ...ends, events: events.reverse() } };
}

/** The post-mortems, newest first. They are asked for on the machine, which may be away: the rest of the page is there all the same. */
async function endsOf(copy: string, api: ClusterApi): Promise<{ ends: RunEnd[]; endsProblem: string | null }> {
  try {
    const ends = await within(ENDS_MS, api.postMortems(copy));
    return { ends: ends.reverse(), endsProblem: null };
  } catch (error) {
    if (!(error instanceof CerebroError) || error.code === 'internal') throw error;
    return { ends: [], endsProblem: error.message };
  }
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
