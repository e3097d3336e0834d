import type { ClusterApi } from '../../core/contracts/cluster-api.ts';
import type { Page, PageAnswer, PageRequest } from '../../core/contracts/ui.ts';
import type { ClusterEvent } from '../../core/model/event.ts';
import type { RunEnd } from '../../core/model/task.ts';
import { askMachine, pastOf } from './ask-machine.ts';
import { pageAbout, TIMELINE } from './gone-page.ts';

export const copyPages: readonly Page[] = [
  {
    method: 'GET',
    path: '/copies/:id',
    answer: (request, api) => pageAbout({ copy: request.params.id ?? '' }, api, () => copyPage(request, api)),
  },
  {
    method: 'POST',
    path: '/copies/:id/restart',
    answer: async ({ params, by }, api) => {
      const id = params.id ?? '';
      await api.restartCopies({ copy: id }, by);
      return { redirect: `/copies/${encodeURIComponent(id)}`, notice: `${id} is being restarted.` };
    },
  },
];

async function copyPage(request: PageRequest, api: ClusterApi): Promise<PageAnswer> {
  const id = request.params.id ?? '';
  const copy = api.copy(id);
  const [events, ends, past] = await Promise.all([
    timelineOf(id, api),
    endsOf(copy.copy, api),
    pastOf({ copy: copy.copy }, request, api),
  ]);
  return { template: 'copy.njk', title: id, data: { copy, ...ends, ...past, events: events.reverse() } };
}

/** Its own events, and before them what it goes back to: the loss of the machine that the copy before it was on. */
async function timelineOf(id: string, api: ClusterApi): Promise<ClusterEvent[]> {
  const [events, { timeline }] = await Promise.all([api.events({ copy: id, limit: TIMELINE }), api.explain(id)]);
  const own = new Set(events.map(({ seq }) => seq));
  return [...timeline.filter(({ seq }) => !own.has(seq)), ...events].sort((a, b) => a.seq - b.seq);
}

/** The post-mortems, newest first. */
async function endsOf(copy: string, api: ClusterApi): Promise<{ ends: RunEnd[]; endsProblem: string | null }> {
  const asked = await askMachine(api.postMortems(copy));
  if ('problem' in asked) return { ends: [], endsProblem: asked.problem };
  return { ends: asked.answer.reverse(), endsProblem: null };
}
