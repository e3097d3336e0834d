import type { MachineApi } from '../../core/contracts/machine-api.ts';
import type { Page } from '../../core/contracts/ui.ts';
import { spanOf } from './span.ts';

export const chartsPage: Page<MachineApi> = {
  method: 'GET',
  path: '/charts',
  nav: { title: 'Charts', order: 20 },
  answer: async (request, api) => {
    const span = spanOf(request);
    return {
      template: 'host-charts.njk',
      title: 'Charts',
      data: { about: api.about(), host: api.vitals().host, span, history: api.history('machine', span) },
    };
  },
};
