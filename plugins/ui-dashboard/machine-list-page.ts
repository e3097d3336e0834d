import type { Page } from '../../core/contracts/ui.ts';
import { asked, mentions, pageOf } from './paging.ts';

const PAGE_SIZE = 50;

export const machineListPage: Page = {
  method: 'GET',
  path: '/machines',
  nav: { title: 'Machines', order: 18 },
  answer: async ({ query }, api) => {
    const filter = { q: asked(query, 'q'), state: asked(query, 'state'), zone: asked(query, 'zone') };
    const all = api.machines();
    const found = all.filter(
      ({ id, address, type, zone, state, cordoned }) =>
        mentions(filter.q, [id, address, type]) &&
        (filter.zone === '' || zone === filter.zone) &&
        (filter.state === '' || state === filter.state || (filter.state === 'cordoned' && cordoned)),
    );
    return {
      template: 'machines.njk',
      title: 'Machines',
      data: {
        filter,
        filtered: Object.values(filter).some((value) => value !== ''),
        none: all.length === 0,
        machines: pageOf(found, query, '/machines', PAGE_SIZE),
        states: [...new Set(all.map(({ state }) => state)), 'cordoned'].sort(),
        zones: [...new Set(all.map(({ zone }) => zone))].sort(),
      },
    };
  },
};
