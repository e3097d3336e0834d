import { stringify } from 'yaml';
import type { ClusterApi, JobView, ZoneCounts } from '../../core/contracts/cluster-api.ts';
import type { Page, PageAnswer } from '../../core/contracts/ui.ts';
import { type JobRecord, reservationOf } from '../../core/model/job.ts';
import { needConfirmation } from './confirmed.ts';
import { pageAbout, TIMELINE } from './gone-page.ts';
import { emptyForm, type JobForm, takeJobForm } from './job-form.ts';
import { countOf } from './words.ts';

export const jobPages: readonly Page[] = [
  {
    method: 'GET',
    path: '/jobs/:name',
    answer: ({ params }, api) => {
      const job = params.name ?? '';
      return pageAbout({ job }, api, () => jobPage(job, api, null, 200));
    },
  },
  {
    method: 'POST',
    path: '/jobs/:name',
    answer: async (request, api) => {
      const name = request.params.name ?? '';
      const outcome = await takeJobForm(request, api, api.job(name).updatedAt);
      return 'answer' in outcome ? outcome.answer : jobPage(name, api, outcome.form, outcome.status);
    },
  },
  {
    method: 'POST',
    path: '/jobs/:name/restart',
    answer: async ({ params, by }, api) => {
      const name = params.name ?? '';
      const copies = await api.restartCopies({ job: name }, by);
      const notice =
        copies.length === 0
          ? `"${name}" has no copies to restart.`
          : `${countOf(copies.length, 'copy')} of "${name}" ${copies.length === 1 ? 'is' : 'are'} being restarted.`;
      return { redirect: `/jobs/${encodeURIComponent(name)}`, notice };
    },
  },
  {
    method: 'POST',
    path: '/jobs/:name/remove',
    answer: async (request, api) => {
      const name = request.params.name ?? '';
      needConfirmation(request, `removing "${name}"`);
      await api.removeJob(name, request.by);
      return { redirect: '/', notice: `"${name}" is being removed: its copies are stopped, then it is forgotten.` };
    },
  },
];

/** `sent` is the form as it was sent, where there is something to say about it; such a page is not refreshed. */
async function jobPage(name: string, api: ClusterApi, sent: JobForm | null, status: number): Promise<PageAnswer> {
  const job = api.job(name);
  const copies = api.copies({ job: name });
  const [events, explanation] = await Promise.all([api.events({ job: name, limit: TIMELINE }), api.explain(name)]);
  const condition = conditionOf(job);
  const { names, aliases } = api.dns();
  return {
    template: 'job.njk',
    title: name,
    status,
    data: {
      job,
      condition,
      zones: zonesOf(job.zones, job.record),
      copies,
      // While all is as wanted there is nothing to explain.
      why: condition === 'ready' ? [] : explanation.sentences,
      names: names.filter((one) => one.job === name),
      aliases: aliases.filter((one) => one.job === name),
      events: events.reverse(),
      form: sent ?? emptyForm(yamlOf(job.record), job.updatedAt),
      formOpen: sent !== null,
      live: sent === null,
    },
  };
}

/** One word for all its copies. */
function conditionOf(job: JobView): 'removing' | 'failing' | 'starting' | 'ready' {
  const zones = Object.values(job.zones);
  if (job.state === 'removing') return 'removing';
  if (zones.some((zone) => zone.failing > 0)) return 'failing';
  return zones.every((zone) => zone.ready >= zone.wanted) ? 'ready' : 'starting';
}

function zonesOf(zones: Record<string, ZoneCounts>, record: JobRecord): object[] {
  return Object.entries(zones)
    .map(([zone, counts]) => ({ name: zone, ...counts, each: reservationOf(record.spec, zone) }))
    .sort((a, b) => a.name.localeCompare(b.name));
}

/** The job as a job file, every default written out. Long commands stay on one line. */
function yamlOf(record: JobRecord): string {
  return stringify(record.spec, { lineWidth: 0 });
}
