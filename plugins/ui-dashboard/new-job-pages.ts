import type { Page, PageAnswer } from '../../core/contracts/ui.ts';
import { emptyForm, type JobForm, takeJobForm } from './job-form.ts';

const EXAMPLE = `task_configuration:
  name: greeter
  command: 'while :; do echo "good day from $CEREBRO_COPY"; sleep 5; done'
  cpu: .1             # cores reserved for each copy
  mem: 32             # MB; a copy that uses more is started again
  ensure_alive: true  # start it again whenever it ends
  restart: true
deployment_layout:
  local-a: { count: 1 }
`;

export const newJobPages: readonly Page[] = [
  {
    method: 'GET',
    path: '/new',
    answer: async () => page(emptyForm(EXAMPLE, ''), 200),
  },
  {
    method: 'POST',
    path: '/jobs',
    answer: async (request, api) => {
      const outcome = await takeJobForm(request, api, '');
      return 'answer' in outcome ? outcome.answer : page(outcome.form, outcome.status);
    },
  },
];

function page(form: JobForm, status: number): PageAnswer {
  return { template: 'new-job.njk', title: 'Add a job', data: { form }, status };
}
