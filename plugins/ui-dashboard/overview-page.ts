import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
import type { Page, PageAnswer } from '../../core/contracts/ui.ts';
import { attentionOf, withLinks } from './attention.ts';
import { inTrouble, type JobRow, jobRow } from './job-condition.ts';
import { underWay } from './under-way.ts';
import { countOf } from './words.ts';
import { zoneRows } from './zone-rows.ts';

/** The page stays small however large the cluster is: more than these are counted, with a link to the whole list. */
const RECENT_EVENTS = 20;
const SHOWN_ATTENTION = 10;
const SHOWN_UNDER_WAY = 10;
const SHOWN_JOBS = 20;
const SHOWN_ZONES = 20;

export const overviewPage: Page = {
  method: 'GET',
  path: '/',
  nav: { title: 'Overview', order: 10 },
  answer: async (_request, api) => overview(api),
};

async function overview(api: ClusterApi): Promise<PageAnswer> {
  const status = api.status();
  const jobViews = api.jobs();
  const machines = api.machines();
  const events = await api.events({ limit: RECENT_EVENTS });
  const jobs = jobViews.map(jobRow).sort(worstFirst);
  return {
    template: 'overview.njk',
    title: 'Overview',
    data: {
      headline: headline(jobs),
      size: `${countOf(jobs.length, 'job')} on ${countOf(machines.length, 'machine')}`,
      doing: doing(jobs),
      attention: withLinks(firstOf(attentionOf(api, status.attention), SHOWN_ATTENTION), api),
      // A roll-out that has failed waits for a person: it needs attention, and nothing of it is under way.
      underWay: firstOf(
        underWay(jobViews, machines).filter(({ state }) => state !== 'failed'),
        SHOWN_UNDER_WAY,
      ),
      jobs: firstOf(jobs, SHOWN_JOBS),
      zones: firstOf(zoneRows(machines), SHOWN_ZONES),
      machineCount: machines.length,
      events: events.reverse(),
    },
  };
}

export function firstOf<T>(all: readonly T[], most: number): { items: T[]; total: number; more: number } {
  return { items: all.slice(0, most), total: all.length, more: Math.max(0, all.length - most) };
}

function worstFirst(a: JobRow, b: JobRow): number {
  const rank = ({ condition }: JobRow): number => (inTrouble(condition) ? 0 : 1);
  return rank(a) - rank(b) || a.name.localeCompare(b.name);
}

/** What is not as it should be, in numbers; empty: nothing. */
function doing(jobs: readonly JobRow[]): string {
  const failing = jobs.reduce((sum, { total }) => sum + total.failing, 0);
  const starting = jobs.reduce((sum, { total }) => sum + total.starting, 0);
  const are = (count: number, what: string): string[] =>
    count === 0 ? [] : [`${countOf(count, 'copy')} ${count === 1 ? 'is' : 'are'} ${what}`];
  const parts = [...are(failing, 'failing'), ...are(starting, 'starting')];
  return parts.length === 0 ? '' : `${parts.join(', ')}.`;
}

/** The one sentence that says whether what was asked for is there. */
function headline(jobs: readonly JobRow[]): string {
  if (jobs.length === 0) return 'Nothing runs yet';
  let wanted = 0;
  let ready = 0;
  for (const { zones, moreZones, total } of jobs) {
    wanted += total.wanted;
    // A zone may have more ready than it wants for a while; it does not make up for another zone.
    if (moreZones === 0) ready += zones.reduce((sum, zone) => sum + Math.min(zone.ready, zone.wanted), 0);
    else ready += Math.min(total.ready, total.wanted);
  }
  if (wanted === 0) return 'No copies are wanted now';
  if (ready < wanted) return `${ready} of ${wanted} copies ${ready === 1 ? 'is' : 'are'} ready`;
  return wanted === 1 ? 'The one copy is ready' : `All ${wanted} copies are ready`;
}
