import type { ClusterApi, DnsNameView, DnsView } from '../../core/contracts/cluster-api.ts';
import type { Page, PageAnswer, UiPlugin } from '../../core/contracts/ui.ts';

/** The page of names. It keeps nothing; what it shows is asked for each time. */
export class UiDns implements UiPlugin {
  readonly name = 'dns';
  /** Its template is a built-in one, since the job's page has a part of it. */
  readonly templates = null;
  readonly pages: readonly Page[] = [
    { method: 'GET', path: '/dns', nav: { title: 'DNS', order: 25 }, answer: async (_request, api) => dnsPage(api) },
    {
      method: 'POST',
      path: '/dns/check',
      answer: async (_request, api) => ({ redirect: '/dns', notice: outcomeOf(await api.checkDns()) }),
    },
  ];

  async start(): Promise<void> {
    // The page is there as long as the daemon's pages are; there is nothing of its own to begin.
  }

  async stop(): Promise<void> {
    // See start.
  }
}

function dnsPage(api: ClusterApi): PageAnswer {
  const view = api.dns();
  return {
    template: 'dns.njk',
    title: 'DNS',
    data: { headline: headline(view), view, jobs: byJob(view.names), live: true },
  };
}

function headline({ names, attention }: DnsView): string {
  if (attention.length > 0) return 'Not every name is as it should be';
  if (names.length === 0) return 'No job has names';
  const changing = names.filter(({ state }) => state !== 'published').length;
  if (changing > 0) return `${changing} of ${names.length} names ${changing === 1 ? 'is' : 'are'} being changed`;
  return names.length === 1 ? 'The one name is as it should be' : `All ${names.length} names are as they should be`;
}

function byJob(names: readonly DnsNameView[]): { job: string; names: DnsNameView[] }[] {
  const jobs = new Map<string, DnsNameView[]>();
  for (const name of names) jobs.set(name.job, [...(jobs.get(name.job) ?? []), name]);
  return [...jobs].map(([job, list]) => ({ job, names: list }));
}

function outcomeOf({ names, aliases, attention }: DnsView): string {
  const missing = aliases.filter(({ state }) => state !== 'there').length;
  const ours =
    attention.length === 0 ? `${names.length} names were looked at.` : 'Something is not as it should be, see below.';
  if (aliases.length === 0) return ours;
  return missing === 0
    ? `${ours} Your CNAMEs are there.`
    : `${ours} ${missing} of your ${aliases.length} CNAMEs could not be found, see below.`;
}
