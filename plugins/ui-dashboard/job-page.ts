import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
import type { Page, PageAnswer, PageRequest } from '../../core/contracts/ui.ts';
import { jobRunViewOf } from '../../core/model/cluster-view.ts';
import { copiesIn, reservationOf } from '../../core/model/job.ts';
import { statesOf, troubleFirst } from './copy-order.ts';
import { pageAbout, TIMELINE } from './gone-page.ts';
import { jobCondition, zonesOf } from './job-condition.ts';
import { emptyForm, type JobForm, takeJobForm } from './job-form.ts';
import { nameOf, pathOf } from './job-questions.ts';
import { yamlOf } from './job-text.ts';
import { firstOf } from './overview-page.ts';
import { pageOf } from './paging.ts';
import { underWay } from './under-way.ts';

const COPIES = 50;
const SHOWN_RUNS = 10;
const SHOWN_VERSIONS = 10;
const SHOWN_REASONS = 10;

export const jobPages: readonly Page[] = [
  {
    method: 'GET',
    path: '/jobs/:name',
    answer: (request, api) => pageAbout({ job: nameOf(request) }, api, () => jobPage(request, api, null, 200)),
  },
  {
    method: 'POST',
    path: '/jobs/:name',
    answer: async (request, api) => {
      const outcome = await takeJobForm(request, api, api.job(nameOf(request)).updatedAt);
      return 'answer' in outcome ? outcome.answer : jobPage(request, api, outcome.form, outcome.status);
    },
  },
];

/** `sent` is the form as it was sent, where there is something to say about it; such a page is not refreshed. */
async function jobPage(
  request: PageRequest,
  api: ClusterApi,
  sent: JobForm | null,
  status: number,
): Promise<PageAnswer> {
  const name = nameOf(request);
  const job = api.job(name);
  const { record } = job;
  const copies = api.copies({ job: name });
  const [events, explanation] = await Promise.all([api.events({ job: name, limit: TIMELINE }), api.explain(name)]);
  const condition = jobCondition(job);
  const { names, aliases } = api.dns();
  const [rolling] = job.rollout ? underWay([job], api.machines()) : [];
  return {
    template: 'job.njk',
    title: name,
    status,
    data: {
      job,
      condition,
      rollOut: rolling ?? null,
      zones: zonesOf(job).map((zone) => ({
        ...zone,
        each: reservationOf(record.spec, zone.name),
        // What it is laid out for, also while none of it is wanted.
        laidOut: copiesIn(record.spec.deployment_layout[zone.name] ?? { count: zone.wanted }),
        // A follower is laid out where its leader is.
        scalable: zone.name in record.spec.deployment_layout && record.spec.linked_job === undefined,
      })),
      copies: pageOf(troubleFirst(copies), request.query, pathOf(name), COPIES),
      states: statesOf(copies),
      // While all is as wanted there is nothing to explain.
      why: ['ready', 'waiting', 'stopped', 'running'].includes(condition)
        ? null
        : firstOf(explanation.sentences, SHOWN_REASONS),
      followers: api.jobs().flatMap((other) => (other.linkedJob === name ? [other.name] : [])),
      canRun: record.spec.task_configuration.allow_exit && record.spec.linked_job === undefined,
      schedule: record.spec.schedule ?? null,
      runs: firstOf(record.runs.map(jobRunViewOf).reverse(), SHOWN_RUNS),
      versions: firstOf(api.versions(name), SHOWN_VERSIONS),
      names: names.filter((one) => one.job === name),
      aliases: aliases.filter((one) => one.job === name),
      events: events.reverse(),
      form: sent ?? emptyForm(yamlOf(record.spec), job.updatedAt),
      formOpen: sent !== null,
      live: sent === null,
    },
  };
}
