import type { MachineApi } from '../../core/contracts/machine-api.ts';
import type { Page } from '../../core/contracts/ui.ts';

const SHOWN = 200;

export const eventsPage: Page<MachineApi> = {
  method: 'GET',
  path: '/events',
  nav: { title: 'Events', order: 30 },
  answer: async ({ query }, api) => {
    const task = query.get('task')?.trim() ?? '';
    const events = api.events({ limit: SHOWN, ...(task !== '' && { task }) });
    return {
      template: 'host-events.njk',
      title: 'Events',
      data: { task, events: events.reverse(), full: events.length === SHOWN, tasks: api.tasks().map(({ id }) => id) },
    };
  },
};
