import type { Page } from '../../core/contracts/ui.ts';
import { attentionOf, withLinks } from './attention.ts';
import { pageOf } from './paging.ts';

const PAGE_SIZE = 100;

export const alertsPage: Page = {
  method: 'GET',
  path: '/alerts',
  nav: { title: 'Alerts', order: 28 },
  answer: async ({ query }, api) => {
    const items = attentionOf(api, api.status().attention);
    const alerts = withLinks(pageOf(items, query, '/alerts', PAGE_SIZE), api);
    return { template: 'alerts.njk', title: 'Alerts', data: { alerts } };
  },
};
