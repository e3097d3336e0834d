import type { ClusterApi, CopyView } from '../../core/contracts/cluster-api.ts';
import type { Page, PageAnswer, PageRequest } from '../../core/contracts/ui.ts';
import { CerebroError } from '../../core/errors.ts';
import { troubleFirst } from './copy-order.ts';
import { asked } from './paging.ts';

/** A browser holds six connections to one host: each copy that is followed takes one, and the rest of the page needs some too. */
const MOST_FOLLOWED = 4;
/** Copies to choose from; a job with more is narrowed down by its copies' own pages. */
const MOST_CHOICES = 100;
const STREAMS = ['both', 'stdout', 'stderr'] as const;
const SINCE = /^(\d{1,9}[smhd]|\d{4}-\d\d-\d\d(T[0-9:.]{4,15}Z?)?)$/;

export const logPages: readonly Page[] = [
  {
    method: 'GET',
    path: '/jobs/:name/logs',
    answer: async (request, api) => {
      const { name } = api.job(request.params.name ?? '');
      const self = `/jobs/${encodeURIComponent(name)}/logs`;
      return logPage(request, troubleFirst(api.copies({ job: name })), {
        name,
        self,
        back: `/jobs/${encodeURIComponent(name)}`,
      });
    },
  },
  {
    method: 'GET',
    path: '/copies/:id/logs',
    answer: async (request, api: ClusterApi) => {
      const copy = api.copy(request.params.id ?? '');
      const back = `/copies/${encodeURIComponent(copy.copy)}`;
      return logPage(request, [copy], { name: copy.copy, self: `${back}/logs`, back });
    },
  },
];

function logPage(
  { query }: PageRequest,
  copies: readonly CopyView[],
  about: { name: string; self: string; back: string },
): PageAnswer {
  const stream = STREAMS.find((one) => one === query.get('stream')) ?? 'both';
  const run = asked(query, 'run');
  const since = asked(query, 'since');
  if (run !== '' && !/^\d{1,9}$/.test(run))
    throw new CerebroError('invalid', `run: "${run}" is not the number of a run`);
  if (since !== '' && !SINCE.test(since))
    throw new CerebroError(
      'invalid',
      `since: "${since}" is neither a time ago, like 15m or 2h, nor a time, like 2026-05-04T12:00:00Z`,
    );
  const wanted = new Set(query.getAll('copy'));
  const chosen = copies.filter(({ copy }) => wanted.size === 0 || wanted.has(copy));
  const shown = chosen.slice(0, MOST_FOLLOWED);
  return {
    template: 'logs.njk',
    title: `Logs of ${about.name}`,
    data: {
      ...about,
      stream,
      streams: STREAMS,
      run,
      since,
      left: chosen.length - shown.length,
      most: MOST_FOLLOWED,
      choices: copies
        .slice(0, MOST_CHOICES)
        .map(({ copy, state }) => ({ copy, state, shown: shown.some((one) => one.copy === copy) })),
      shown: shown.map(({ copy }) => ({ copy, address: addressOf(copy, { stream, run, since }) })),
    },
  };
}

/** Where the lines of a copy come from. */
function addressOf(copy: string, { stream, run, since }: { stream: string; run: string; since: string }): string {
  const query = new URLSearchParams({ stream });
  if (run !== '') query.set('run', run);
  if (since !== '') query.set('since', since);
  return `/logs/${encodeURIComponent(copy)}?${query}`;
}
