import type { MachineApi } from '../../../core/contracts/machine-api.ts';
import type { Page, PageRequest, UiPlugin } from '../../../core/contracts/ui.ts';
import { CerebroError } from '../../../core/errors.ts';
import { decode, textOf } from '../form-data.ts';
import { taskName } from './schema.ts';

const A_TASK = 'a task_configuration, or a list of them';
const A_NAME = 'the name of a task, like "Portal Server" or {"name": "Portal Server"}, or a field task_name';

const ENDPOINTS: readonly Page<MachineApi>[] = [
  command('/add_task', async (request, api) => {
    // The text goes on as it came: messages name its lines.
    const report = await api.addTasks(textOf(request, A_TASK), { source: 'data', start: false, by: request.by });
    return { ...report };
  }),
  onTask('/start_task', (name, api, by) => api.act(name, 'start', by).phase),
  onTask('/stop_task', (name, api, by) => api.act(name, 'stop', by).phase),
  onTask('/restart_task', (name, api, by) => api.act(name, 'restart', by).phase),
  command('/remove_task', async (request, api) => {
    const task = nameIn(request);
    if (!(await api.removeTask(task))) api.task(task); // what is not there is an error here, as it was
    return { task };
  }),
  command('/write_config', async (request, api) => ({ ...(await api.writeTasks(request.by)) })),
  command('/load_config', async (request, api) => ({ ...(await api.loadTasks(request.by)) })),
  {
    method: 'GET',
    path: '/logfile',
    audience: 'programs',
    answer: async ({ query }, api) => {
      const name = query.get('task_name') ?? query.get('name') ?? '';
      const stream = query.get('stream') ?? 'stdout';
      if (name === '')
        throw new CerebroError('invalid', 'task_name: expected the name of a task; /logs lists those that have logs');
      return { redirect: `/logs/${encodeURIComponent(api.task(name).id)}?${new URLSearchParams({ stream })}` };
    },
  },
  {
    method: 'GET',
    path: '/stats',
    audience: 'programs',
    answer: async (_request, api) => ({ json: { status: 'ok', capacity: api.capacity(), tasks: api.tasks() } }),
  },
];

function command(
  path: string,
  run: (request: PageRequest, api: MachineApi) => Promise<Record<string, unknown>>,
): Page<MachineApi> {
  return {
    method: 'POST',
    path,
    audience: 'programs',
    answer: async (request, api) => ({ json: { status: 'ok', ...(await run(request, api)) } }),
  };
}

function onTask(path: string, run: (name: string, api: MachineApi, by: string) => string): Page<MachineApi> {
  return command(path, async (request, api) => {
    const task = nameIn(request);
    return { task, phase: run(task, api, request.by) };
  });
}

function nameIn(request: PageRequest): string {
  return request.form.get('task_name') ?? decode(request, taskName, A_NAME);
}

/** The endpoints that the machine sitter of 2013 had, for programs that were written for them. */
export class LegacyMachineApi implements UiPlugin<MachineApi> {
  readonly name = 'legacy-machine-api';
  readonly templates = null;
  readonly pages = ENDPOINTS;

  async start(): Promise<void> {
    // The endpoints are there as long as the daemon's pages are; there is nothing of their own to begin.
  }

  async stop(): Promise<void> {
    // See start.
  }
}
