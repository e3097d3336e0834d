import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
import type { Page, PageRequest } from '../../core/contracts/ui.ts';
import { CerebroError } from '../../core/errors.ts';
import { zoneName } from '../../core/model/zone.ts';
import { confirmPage, planFor } from './confirm-page.ts';
import { emptied, scaled, yamlOf } from './job-text.ts';
import { countOf } from './words.ts';

/** The pages that say what stopping, scaling or removing a job would do, each with the form that does it. */
export const jobQuestions: readonly Page[] = [
  {
    method: 'GET',
    path: '/jobs/:name/stop',
    answer: async ({ params }, api) => {
      const { name, record } = api.job(params.name ?? '');
      const self = pathOf(name);
      const copies = countOf(api.copies({ job: name }).length, 'copy');
      return confirmPage({
        title: `Stop ${name}?`,
        lead: `“${name}” has ${copies} now. It would have none until it is started again; nothing is forgotten.`,
        plan: await planFor({ text: yamlOf(emptied(record.spec)) }, api),
        action: `${self}/stop`,
        button: 'Stop the job',
        back: self,
      });
    },
  },
  {
    method: 'GET',
    path: '/jobs/:name/remove',
    answer: async ({ params }, api) => {
      const { name, record } = api.job(params.name ?? '');
      const self = pathOf(name);
      const followers = api.jobs().flatMap((job) => (job.linkedJob === name ? [`“${job.name}”`] : []));
      const also = followers.length === 0 ? '' : ` ${followers.join(', ')}, linked to it, would be removed with it.`;
      const copies = api.copies({ job: name }).length;
      return confirmPage({
        title: `Remove ${name}?`,
        lead: `All copies of “${name}” would be stopped; then it is forgotten, with its versions.${also}`,
        plan: await planFor({ text: yamlOf(emptied(record.spec)) }, api),
        action: `${self}/remove`,
        button: 'Remove the job',
        back: self,
        tick: `Stop ${countOf(copies, 'copy')} and forget “${name}”`,
      });
    },
  },
  {
    method: 'GET',
    path: '/jobs/:name/scale',
    answer: async ({ params, query }, api) => {
      const { name, record } = api.job(params.name ?? '');
      const { zone, count } = sizeOf(query, record.spec.deployment_layout);
      const self = pathOf(name);
      return confirmPage({
        title: `Scale ${name}?`,
        lead: `“${name}” would have ${countOf(count, 'copy')} in ${zone}. Nothing that stays is restarted.`,
        plan: await planFor({ text: yamlOf(scaled(record.spec, zone, count)) }, api),
        action: `${self}/scale`,
        button: `Scale to ${count}`,
        back: self,
        hidden: { zone, count: String(count) },
      });
    },
  },
];

/** Zone and count of a scale form. Throws `invalid` where one of them is none. */
export function sizeOf(form: URLSearchParams, layout: Record<string, unknown>): { zone: string; count: number } {
  const zone = form.get('zone')?.trim() ?? '';
  const text = form.get('count')?.trim() ?? '';
  if (!zoneName.safeParse(zone).success || !(zone in layout))
    throw new CerebroError(
      'invalid',
      `zone: the job is not laid out in "${zone}", but in ${Object.keys(layout).join(', ') || 'none'}`,
    );
  if (!/^\d{1,5}$/.test(text) || Number(text) > 10_000)
    throw new CerebroError('invalid', `count: "${text}" is not a number of copies; it goes from 0 to 10000`);
  return { zone, count: Number(text) };
}

export function pathOf(name: string): string {
  return `/jobs/${encodeURIComponent(name)}`;
}

export function nameOf({ params }: PageRequest): string {
  return params.name ?? '';
}

/** The version that an address or a form names; null: it names none. */
export function versionOf(text: string | null | undefined, api: ClusterApi, name: string): number | null {
  if (text === null || text === undefined || text === '') return null;
  if (/^\d{1,9}$/.test(text) && api.versions(name).some(({ version }) => version === Number(text))) return Number(text);
  const kept = api.versions(name).map(({ version }) => version);
  throw new CerebroError('not_found', `version "${text}" of "${name}" is not kept; kept are ${kept.join(', ')}`);
}
