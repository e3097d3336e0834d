import type { Page } from '../../core/contracts/ui.ts';
import { asked, mentions, pageOf } from './paging.ts';

const PAGE_SIZE = 200;
/** So far back a filter looks. */
const SEARCHED = 5000;

export const eventsPage: Page = {
  method: 'GET',
  path: '/events',
  nav: { title: 'Events', order: 30 },
  answer: async ({ query }, api) => {
    const filter = {
      q: asked(query, 'q'),
      level: asked(query, 'level'),
      job: asked(query, 'job'),
      machine: asked(query, 'machine'),
      copy: asked(query, 'copy'),
    };
    const events = await api.events({
      limit: SEARCHED,
      job: filter.job || undefined,
      machine: filter.machine || undefined,
      copy: filter.copy || undefined,
    });
    const found = events
      .filter(
        ({ message, kind, by, level }) =>
          mentions(filter.q, [message, kind, by ?? null]) &&
          (filter.level === '' || level === filter.level || (filter.level === 'warn' && level === 'error')),
      )
      .reverse();
    return {
      template: 'events.njk',
      title: 'Events',
      data: {
        filter,
        filtered: Object.values(filter).some((value) => value !== ''),
        events: pageOf(found, query, '/events', PAGE_SIZE),
        full: events.length === SEARCHED,
      },
    };
  },
};
