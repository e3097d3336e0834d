import type { Page } from '../../core/contracts/ui.ts';
import { pastOf } from './ask-machine.ts';
import { nameOf, pathOf } from './job-questions.ts';
import { pageOf } from './paging.ts';

/** Each copy is asked of its machine, so no page asks for many. */
const COPIES = 6;

/** The past of a job: cpu, memory and restarts of its copies, one below the other. */
export const jobChartsPage: Page = {
  method: 'GET',
  path: '/jobs/:name/charts',
  answer: async (request, api) => {
    const name = nameOf(request);
    const job = api.job(name);
    const copies = pageOf(api.copies({ job: name }), request.query, `${pathOf(name)}/charts`, COPIES);
    const pasts = await Promise.all(
      copies.items.map(async (copy) => ({ copy, ...(await pastOf({ copy: copy.copy }, request, api)) })),
    );
    const span = request.query.get('span') === 'day' ? 'day' : 'hour';
    return { template: 'job-charts.njk', title: `Charts of ${name}`, data: { job, span, copies, pasts } };
  },
};
