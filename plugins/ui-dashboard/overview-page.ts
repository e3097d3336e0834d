import type { ClusterApi, JobView, MachineView, ZoneCounts } from '../../core/contracts/cluster-api.ts';
import type { Page, PageAnswer } from '../../core/contracts/ui.ts';
import { countOf } from './words.ts';

const RECENT_EVENTS = 20;

export const overviewPage: Page = {
  method: 'GET',
  path: '/',
  nav: { title: 'Overview', order: 10 },
  answer: async (_request, api) => overview(api),
};

async function overview(api: ClusterApi): Promise<PageAnswer> {
  const status = api.status();
  const jobs = api.jobs();
  const machines = api.machines();
  const events = await api.events({ limit: RECENT_EVENTS });
  return {
    template: 'overview.njk',
    title: 'Overview',
    data: {
      headline: headline(jobs),
      size: `${countOf(jobs.length, 'job')} on ${countOf(machines.length, 'machine')}`,
      attention: status.attention,
      jobs: jobs.sort((a, b) => a.name.localeCompare(b.name)).map((job) => ({ ...job, zones: zonesOf(job) })),
      zones: machinesByZone(machines),
      events: events.reverse(),
    },
  };
}

/** The one sentence that says whether what was asked for is there. */
function headline(jobs: readonly JobView[]): string {
  if (jobs.length === 0) return 'Nothing runs yet';
  const zones = jobs.flatMap((job) => Object.values(job.zones));
  const wanted = zones.reduce((sum, zone) => sum + zone.wanted, 0);
  // A zone may have more ready than it wants for a while; it does not make up for another zone.
  const ready = zones.reduce((sum, zone) => sum + Math.min(zone.ready, zone.wanted), 0);
  if (wanted === 0) return 'No copies are wanted';
  if (ready < wanted) return `${ready} of ${wanted} copies ${ready === 1 ? 'is' : 'are'} ready`;
  return wanted === 1 ? 'The one copy is ready' : `All ${wanted} copies are ready`;
}

function zonesOf(job: JobView): (ZoneCounts & { name: string })[] {
  return Object.entries(job.zones)
    .map(([name, counts]) => ({ name, ...counts }))
    .sort((a, b) => a.name.localeCompare(b.name));
}

function machinesByZone(machines: readonly MachineView[]): { name: string; machines: MachineView[] }[] {
  const zones = new Map<string, MachineView[]>();
  for (const machine of machines) {
    const zone = zones.get(machine.zone);
    if (zone) zone.push(machine);
    else zones.set(machine.zone, [machine]);
  }
  return [...zones].map(([name, list]) => ({ name, machines: list })).sort((a, b) => a.name.localeCompare(b.name));
}
