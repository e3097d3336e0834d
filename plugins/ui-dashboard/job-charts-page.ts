import type { CopyView } from '../../core/contracts/cluster-api.ts';
import type { Page } from '../../core/contracts/ui.ts';
import { type Past, pastOf } from './ask-machine.ts';
import { nameOf, pathOf } from './job-questions.ts';
import { pageOf } from './paging.ts';
import { sumHistories } from './sum-histories.ts';

/** Each copy is asked of its machine, so no page asks for many: so many are added up, and so many are shown one by one. */
const ADDED_UP = 24;
const ONE_BY_ONE = 6;

/** The past of a job: cpu, memory and restarts of all its copies together, then of each. */
export const jobChartsPage: Page = {
  method: 'GET',
  path: '/jobs/:name/charts',
  answer: async (request, api) => {
    const name = nameOf(request);
    const job = api.job(name);
    const all = api.copies({ job: name });
    const copies = pageOf(all, request.query, `${pathOf(name)}/charts`, ONE_BY_ONE);
    const asked = new Set([...all.slice(0, ADDED_UP), ...copies.items]);
    const pasts = new Map(
      await Promise.all(
        [...asked].map(async (copy) => [copy, await pastOf({ copy: copy.copy }, request, api)] as const),
      ),
    );
    const added = [...pasts].slice(0, ADDED_UP).filter(([, { history }]) => history !== null);
    return {
      template: 'job-charts.njk',
      title: `Charts of ${name}`,
      data: {
        job,
        span: request.query.get('span') === 'day' ? 'day' : 'hour',
        copies,
        pasts: copies.items.map((copy) => ({ copy, ...pasts.get(copy) })),
        together: all.length > 1 ? togetherOf(added) : null,
        added: added.length,
      },
    };
  },
};

/** What those whose past is known did together, and what they may take together; null: one of them has no limit. */
function togetherOf(pasts: readonly (readonly [CopyView, Past])[]): object | null {
  const history = sumHistories(pasts.flatMap(([, past]) => past.history ?? []));
  if (!history) return null;
  const limits = pasts.map(([{ task }]) => task?.limits);
  const sum = (values: readonly (number | null | undefined)[]): number | null =>
    values.reduce<number | null>((total, value) => (total === null || value == null ? null : total + value), 0);
  return {
    history,
    limits: { cpu: sum(limits.map((limit) => limit?.cpu)), memBytes: sum(limits.map((limit) => limit?.memBytes)) },
  };
}
