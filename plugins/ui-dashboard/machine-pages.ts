import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
import type { Page, PageAnswer, PageRequest } from '../../core/contracts/ui.ts';
import { CerebroError } from '../../core/errors.ts';
import { pastOf } from './ask-machine.ts';
import { confirmPage, planFor } from './confirm-page.ts';
import { needConfirmation } from './confirmed.ts';
import { troubleFirst } from './copy-order.ts';
import { pageAbout, TIMELINE } from './gone-page.ts';
import { pageOf } from './paging.ts';
import { countOf } from './words.ts';

const COPIES = 50;
/** A week, in seconds. */
const LONGEST_DRAIN = 604_800;

export const machinePages: readonly Page[] = [
  {
    method: 'GET',
    path: '/machines/:id',
    answer: (request, api) => pageAbout({ machine: idOf(request) }, api, () => machinePage(request, api)),
  },
  {
    method: 'GET',
    path: '/machines/:id/drain',
    answer: async (request, api) => {
      const { id, copies } = api.machine(idOf(request));
      return confirmPage({
        title: `Drain ${id}?`,
        lead: `It gets no more copies. Its ${countOf(copies.length, 'copy')} would be started elsewhere, each stopped here when its replacement is ready; then the machine is ended.`,
        plan: await planFor({ drained: [id] }, api),
        action: `${pathOf(id)}/drain`,
        button: 'Drain the machine',
        back: pathOf(id),
        deadline: true,
      });
    },
  },
  {
    method: 'GET',
    path: '/machines/:id/replace',
    answer: async (request, api) => {
      const { id, type, zone } = api.machine(idOf(request));
      return confirmPage({
        title: `Replace ${id}?`,
        lead: `A new ${type} would be ordered in ${zone}. When it is ready, ${id} is drained and ended. Below is what the drain would do, were no other machine there for it.`,
        plan: await planFor({ drained: [id] }, api),
        action: `${pathOf(id)}/replace`,
        button: 'Replace the machine',
        back: pathOf(id),
      });
    },
  },
  order('cordon', async ({ id, by }, api) => {
    await api.cordonMachine(id, true, by);
    return `${id} gets no more copies.`;
  }),
  order('uncordon', async ({ id, by }, api) => {
    await api.cordonMachine(id, false, by);
    return `${id} may get copies again.`;
  }),
  order('drain', async ({ id, by, request }, api) => {
    needConfirmation(request, `draining ${id}`);
    await api.drainMachine(id, by, deadlineOf(request.form.get('deadline')));
    return `${id} is being drained: its copies are started elsewhere, then it is ended.`;
  }),
  order('undrain', async ({ id, by }, api) => {
    await api.cancelDrain(id, by);
    return `${id} is no longer drained.`;
  }),
  order('replace', async ({ id, by, request }, api) => {
    needConfirmation(request, `replacing ${id}`);
    return `${await api.replaceMachine(id, by)} is ordered; when it is ready, ${id} is drained and ended.`;
  }),
];

function order(
  path: string,
  give: (what: { id: string; by: string; request: PageRequest }, api: ClusterApi) => Promise<string>,
): Page {
  return {
    method: 'POST',
    path: `/machines/:id/${path}`,
    answer: async (request, api) => {
      const id = idOf(request);
      return { redirect: pathOf(id), notice: await give({ id, by: request.by, request }, api) };
    },
  };
}

async function machinePage(request: PageRequest, api: ClusterApi): Promise<PageAnswer> {
  const id = idOf(request);
  const machine = api.machine(id);
  const copies = pageOf(troubleFirst(api.copies({ machine: id })), request.query, pathOf(id), COPIES);
  const [events, past] = await Promise.all([
    api.events({ machine: id, limit: TIMELINE }),
    pastOf({ machine: id }, request, api),
  ]);
  return {
    template: 'machine.njk',
    title: id,
    data: { machine, host: api.vitals(id), copies, ...past, events: events.reverse() },
  };
}

/** Seconds; absent: as the settings say. */
function deadlineOf(text: string | null): number | undefined {
  const seconds = text?.trim() ?? '';
  if (seconds === '') return undefined;
  if (/^\d{1,6}$/.test(seconds) && Number(seconds) <= LONGEST_DRAIN) return Number(seconds);
  throw new CerebroError(
    'invalid',
    `deadline: "${seconds}" is not seconds from 0 (wait without end) to ${LONGEST_DRAIN}`,
  );
}

function idOf({ params }: PageRequest): string {
  return params.id ?? '';
}

function pathOf(id: string): string {
  return `/machines/${encodeURIComponent(id)}`;
}
