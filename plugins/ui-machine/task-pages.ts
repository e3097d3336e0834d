import type { MachineApi } from '../../core/contracts/machine-api.ts';
import type { Page, PageAnswer, PageRequest } from '../../core/contracts/ui.ts';
import { CerebroError } from '../../core/errors.ts';
import { spanOf } from './span.ts';

const TIMELINE = 50;
/** What a form may send; SIGKILL and SIGSTOP are there too, since that is what one comes here for when nothing else helps. */
const SIGNALS = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGTERM',
  'SIGSTOP',
  'SIGCONT',
  'SIGKILL',
] as const;

export const taskPages: readonly Page<MachineApi>[] = [
  { method: 'GET', path: '/tasks/:id', answer: async (request, api) => taskPage(request, api) },
  {
    method: 'POST',
    path: '/tasks/:id',
    answer: async (request, api) => ({ redirect: pathOf(idOf(request)), notice: act(request, api) }),
  },
  // Where a browser lands that goes up from a task's address.
  { method: 'GET', path: '/tasks', answer: async () => ({ redirect: '/' }) },
];

function taskPage(request: PageRequest, api: MachineApi): PageAnswer {
  const id = idOf(request);
  const task = api.task(id);
  const span = spanOf(request);
  return {
    template: 'host-task.njk',
    title: id,
    data: {
      task,
      atRest: ['stopped', 'exited', 'failed'].includes(task.phase),
      span,
      history: api.history(`task:${id}`, span),
      ends: api.postMortems(id).reverse(),
      events: api.events({ limit: TIMELINE, task: id }).reverse(),
      signals: SIGNALS,
    },
  };
}

/** Does what the form asks for; gives the sentence that says so. */
function act(request: PageRequest, api: MachineApi): string {
  const id = idOf(request);
  const { form, by } = request;
  const action = form.get('do');
  if (action === 'start') {
    api.act(id, 'start', by);
    return `${id} is being started.`;
  }
  if (action === 'restart' || action === 'stop') {
    needConfirmation(request, action === 'stop' ? `stopping ${id}` : `restarting ${id}`);
    api.act(id, action, by);
    return action === 'stop' ? `${id} is being stopped.` : `${id} is being restarted.`;
  }
  if (action === 'signal') {
    const signal = SIGNALS.find((name) => name === form.get('signal'));
    if (!signal) throw new CerebroError('invalid', `the form names no signal; there are ${SIGNALS.join(', ')}`);
    needConfirmation(request, `sending ${signal} to ${id}`);
    api.signal(id, signal, by);
    return `${id} was sent ${signal}.`;
  }
  throw new CerebroError('invalid', 'the form does not say what to do: start, stop, restart or signal');
}

/** Throws `invalid` unless the box was ticked: browsers see to it, but not every client is one. */
function needConfirmation({ form }: PageRequest, what: string): void {
  if (form.get('confirm') === 'yes') return;
  throw new CerebroError('invalid', `${what} needs the box above the buttons to be ticked; nothing was done`);
}

function idOf({ params }: PageRequest): string {
  return params.id ?? '';
}

function pathOf(id: string): string {
  return `/tasks/${encodeURIComponent(id)}`;
}
