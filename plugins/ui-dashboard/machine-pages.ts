import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
import type { Page, PageAnswer, PageRequest } from '../../core/contracts/ui.ts';
import { pastOf } from './ask-machine.ts';
import { needConfirmation } from './confirmed.ts';
import { pageAbout, TIMELINE } from './gone-page.ts';

export const machinePages: readonly Page[] = [
  {
    method: 'GET',
    path: '/machines/:id',
    answer: (request, api) => pageAbout({ machine: request.params.id ?? '' }, api, () => machinePage(request, api)),
  },
  {
    method: 'POST',
    path: '/machines/:id/drain',
    answer: async (request, api) => {
      const id = request.params.id ?? '';
      needConfirmation(request, `draining ${id}`);
      await api.drainMachine(id, request.by);
      const notice = `${id} is being drained: its copies are started elsewhere, then it is ended.`;
      return { redirect: `/machines/${encodeURIComponent(id)}`, notice };
    },
  },
];

async function machinePage(request: PageRequest, api: ClusterApi): Promise<PageAnswer> {
  const id = request.params.id ?? '';
  const machine = api.machine(id);
  const copies = api.copies({ machine: id });
  const [events, past] = await Promise.all([
    api.events({ machine: id, limit: TIMELINE }),
    pastOf({ machine: id }, request, api),
  ]);
  return { template: 'machine.njk', title: id, data: { machine, copies, ...past, events: events.reverse() } };
}
