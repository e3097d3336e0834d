import type { MachineApi } from '../../core/contracts/machine-api.ts';
import type { Page } from '../../core/contracts/ui.ts';
import { CerebroError } from '../../core/errors.ts';

const SHOWN_LINES = 500;

/** The end of a log, as it is written. Without scripts it is as old as its last load. */
export const logPage: Page<MachineApi> = {
  method: 'GET',
  path: '/tasks/:id/log',
  answer: async ({ params, query }, api) => {
    const { id } = api.task(params.id ?? '');
    const stream = query.get('stream') === 'stderr' ? 'stderr' : 'stdout';
    const asked = query.get('run');
    const run = asked === null ? undefined : runOf(asked);
    const tail = await api.logTail(id, stream, { lines: SHOWN_LINES, ...(run !== undefined && { run }) });
    const follow = new URLSearchParams({ stream, run: String(tail.run), offset: String(tail.offset), follow: '1' });
    // An earlier run is over: to follow it would be to read all that came after it.
    const newest = tail.run === (tail.runs.at(-1) ?? tail.run);
    return {
      template: 'host-log.njk',
      title: `${id}, ${stream}`,
      data: {
        id,
        stream,
        tail,
        newest,
        older: tail.runs.filter((number) => number !== tail.run).reverse(),
        follow: newest ? `/logs/${encodeURIComponent(id)}?${follow}` : null,
      },
    };
  },
};

function runOf(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new CerebroError('invalid', `run: "${text}" is not the number of a run`);
}
