import type { Page } from '../../core/contracts/ui.ts';

const SHOWN = 200;

export const eventsPage: Page = {
  method: 'GET',
  path: '/events',
  nav: { title: 'Events', order: 30 },
  answer: async ({ query }, api) => {
    const asked = (key: string): string => query.get(key)?.trim() ?? '';
    const filter = { job: asked('job'), machine: asked('machine'), copy: asked('copy') };
    const events = await api.events({
      limit: SHOWN,
      job: filter.job || undefined,
      machine: filter.machine || undefined,
      copy: filter.copy || undefined,
    });
    return {
      template: 'events.njk',
      title: 'Events',
      data: {
        filter,
        filtered: Object.values(filter).some((value) => value !== ''),
        events: events.reverse(),
        full: events.length === SHOWN,
        jobNames: api.jobs().map((job) => job.name),
        machineIds: api.machines().map((machine) => machine.id),
      },
    };
  },
};
