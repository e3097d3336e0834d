import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
import type { Page, PageAnswer } from '../../core/contracts/ui.ts';
import { needConfirmation } from './confirmed.ts';
import { pageAbout, TIMELINE } from './gone-page.ts';

export const machinePages: readonly Page[] = [
  {
    method: 'GET',
    path: '/machines/:id',
    answer: ({ params }, api) => {
      const machine = params.id ?? '';
      return pageAbout({ machine }, api, () => machinePage(machine, api));
    },
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

async function machinePage(id: string, api: ClusterApi): Promise<PageAnswer> {
  const machine = api.machine(id);
  const copies = api.copies({ machine: id });
  const events = await api.events({ machine: id, limit: TIMELINE });
  return { template: 'machine.njk', title: id, data: { machine, copies, events: events.reverse() } };
}
