import type { Page } from '../../core/contracts/ui.ts';
import { jobRow } from './job-condition.ts';
import { firstOf } from './overview-page.ts';
import { asked, mentions } from './paging.ts';

const SHOWN = 10;
const SEARCHED_EVENTS = 2000;
const LONGEST = 200;

/** Everything that bears a name, and what was told lately. In the layout it is a field, not a link. */
export const searchPage: Page = {
  method: 'GET',
  path: '/search',
  nav: { title: 'Search', order: 99 },
  answer: async ({ query }, api) => {
    const q = asked(query, 'q').slice(0, LONGEST);
    if (q === '') return { template: 'search.njk', title: 'Search', data: { q, found: null, total: 0 } };
    const events = await api.events({ limit: SEARCHED_EVENTS });
    const found = {
      jobs: firstOf(
        api
          .jobs()
          .filter((job) => mentions(q, [job.name]))
          .map(jobRow),
        SHOWN,
      ),
      machines: firstOf(
        api.machines().filter(({ id, address, type }) => mentions(q, [id, address, type])),
        SHOWN,
      ),
      copies: firstOf(
        api.copies().filter(({ copy }) => mentions(q, [copy])),
        SHOWN,
      ),
      names: firstOf(
        api.dns().names.filter(({ name, values }) => mentions(q, [name, ...values])),
        SHOWN,
      ),
      alerts: firstOf(
        api.alerts().filter(({ sentence }) => mentions(q, [sentence])),
        SHOWN,
      ),
      events: firstOf(
        events.reverse().filter(({ message }) => mentions(q, [message])),
        SHOWN,
      ),
    };
    const total = Object.values(found).reduce((sum, kind) => sum + kind.total, 0);
    return { template: 'search.njk', title: `Search: ${q}`, data: { q, found, total } };
  },
};
