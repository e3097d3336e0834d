import type { MachineAbout, MachineApi } from '../../core/contracts/machine-api.ts';
import type { Page } from '../../core/contracts/ui.ts';
import type { TaskStatus } from '../../core/model/task.ts';

const RECENT_EVENTS = 20;

export const overviewPage: Page<MachineApi> = {
  method: 'GET',
  path: '/',
  nav: { title: 'This machine', order: 10 },
  answer: async (_request, api) => {
    const about = api.about();
    const tasks = api.tasks();
    return {
      template: 'host.njk',
      title: about.hostname,
      data: {
        about,
        headline: headline(tasks),
        attention: attention(about, tasks),
        host: api.vitals().host,
        history: api.history('machine', 'hour'),
        room: api.capacity(),
        tasks,
        events: api.events({ limit: RECENT_EVENTS }).reverse(),
      },
    };
  },
};

/** How many of the tasks run, in one sentence. */
function headline(tasks: readonly TaskStatus[]): string {
  if (tasks.length === 0) return 'No tasks yet';
  const running = tasks.filter(({ phase }) => phase === 'running').length;
  if (running < tasks.length) return `${running} of ${tasks.length} tasks ${running === 1 ? 'runs' : 'run'}`;
  return tasks.length === 1 ? 'The one task runs' : `All ${tasks.length} tasks run`;
}

/** What somebody should look at, one sentence each. */
function attention(about: MachineAbout, tasks: readonly TaskStatus[]): string[] {
  const sentences = [...about.damaged].map(
    ([folder, why]) => `The files of a task in ${folder} cannot be read, so it is left alone: ${why}`,
  );
  for (const { id, phase, reason, warnings, health, logs, flapping } of tasks) {
    if (phase === 'failed' || phase === 'backoff') sentences.push(`${id}: ${reason}`);
    else if (flapping) sentences.push(`${id} ends again and again`);
    if (health?.state === 'unhealthy') sentences.push(`${id} is unhealthy: ${health.sentence}`);
    for (const warning of warnings) sentences.push(`${id} is near its limit: ${warning}`);
    if (logs?.diskFullSince) sentences.push(`The disk under the logs of ${id} is full: what it writes is refused`);
  }
  return sentences;
}
