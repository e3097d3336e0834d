import type { Page } from '../../core/contracts/ui.ts';
import { JOB_CONDITIONS, jobRow } from './job-condition.ts';
import { asked, mentions, pageOf } from './paging.ts';

const PAGE_SIZE = 50;

export const jobListPage: Page = {
  method: 'GET',
  path: '/jobs',
  nav: { title: 'Jobs', order: 15 },
  answer: async ({ query }, api) => {
    const filter = { q: asked(query, 'q'), state: asked(query, 'state'), zone: asked(query, 'zone') };
    const all = api.jobs();
    const found = all
      .filter((job) => mentions(filter.q, [job.name]) && (filter.zone === '' || filter.zone in job.zones))
      .map(jobRow)
      .filter(({ condition }) => filter.state === '' || condition === filter.state)
      .sort((a, b) => a.name.localeCompare(b.name));
    return {
      template: 'jobs.njk',
      title: 'Jobs',
      data: {
        filter,
        filtered: Object.values(filter).some((value) => value !== ''),
        none: all.length === 0,
        jobs: pageOf(found, query, '/jobs', PAGE_SIZE),
        states: JOB_CONDITIONS,
        zones: [...new Set(all.flatMap((job) => Object.keys(job.zones)))].sort(),
      },
    };
  },
};
