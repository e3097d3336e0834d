import type { ClusterApi, RollOutAction } from '../../core/contracts/cluster-api.ts';
import type { Page, PageRequest } from '../../core/contracts/ui.ts';
import { CerebroError } from '../../core/errors.ts';
import { needConfirmation } from './confirmed.ts';
import { nameOf, pathOf, sizeOf, versionOf } from './job-questions.ts';
import { countOf } from './words.ts';

const ROLL_OUT_WORDS: Record<RollOutAction, string> = {
  pause: 'The roll-out is paused: no further copy is changed.',
  resume: 'The roll-out goes on.',
  promote: 'The roll-out goes to all the rest at once.',
};

/** The forms that act on a job. Each leads back to the job, with the sentence that says what was done. */
export const jobOrders: readonly Page[] = [
  order('restart', async (request, api) => {
    const name = nameOf(request);
    const copies = await api.restartCopies({ job: name }, request.by);
    if (copies.length === 0) return `"${name}" has no copies to restart.`;
    const are = copies.length === 1 ? 'is' : 'are';
    return `${countOf(copies.length, 'copy')} of "${name}" ${are} being restarted.`;
  }),
  order('stop', async (request, api) => {
    const name = nameOf(request);
    needConfirmation(request, `stopping "${name}"`);
    await api.stopJob(name, request.by);
    return `"${name}" is being stopped, until it is started again.`;
  }),
  order('start', async (request, api) => {
    await api.startJob(nameOf(request), request.by);
    return `"${nameOf(request)}" is being started.`;
  }),
  order('scale', async (request, api) => {
    const name = nameOf(request);
    const { zone, count } = sizeOf(request.form, api.job(name).record.spec.deployment_layout);
    needConfirmation(request, `scaling "${name}"`);
    await api.scaleJob(name, zone, count, request.by);
    return `"${name}" is to have ${countOf(count, 'copy')} in ${zone}.`;
  }),
  order('rollback', async (request, api) => {
    const name = nameOf(request);
    const to = versionOf(request.form.get('to'), api, name);
    needConfirmation(request, `going back to an earlier version of "${name}"`);
    return `"${name}" goes back to version ${await api.rollBack(name, to, request.by)}.`;
  }),
  order('rollout', async ({ params, form, by }, api) => {
    const action = form.get('do');
    if (action !== 'pause' && action !== 'resume' && action !== 'promote')
      throw new CerebroError('invalid', 'the form does not say what to do with the roll-out: pause, resume or promote');
    await api.rollOut(params.name ?? '', action, by);
    return ROLL_OUT_WORDS[action];
  }),
  order('run', async (request, api) => {
    const { id } = await api.runJob(nameOf(request), request.by);
    return `Run ${id} of "${nameOf(request)}" begins.`;
  }),
  order('stoprun', async (request, api) => {
    const asked = request.form.get('run') ?? '';
    if (asked !== '' && !/^\d{1,15}$/.test(asked))
      throw new CerebroError('invalid', `run: "${asked.slice(0, 40)}" is not the number of a run`);
    const run = await api.stopRun(nameOf(request), asked === '' ? null : Number(asked), request.by);
    return `Run ${run} of "${nameOf(request)}" is being stopped.`;
  }),
  {
    method: 'POST',
    path: '/jobs/:name/remove',
    answer: async (request, api) => {
      const name = nameOf(request);
      needConfirmation(request, `removing "${name}"`);
      await api.removeJob(name, request.by);
      return { redirect: '/', notice: `"${name}" is being removed: its copies are stopped, then it is forgotten.` };
    },
  },
];

function order(path: string, give: (request: PageRequest, api: ClusterApi) => Promise<string>): Page {
  return {
    method: 'POST',
    path: `/jobs/:name/${path}`,
    answer: async (request, api) => ({ redirect: pathOf(nameOf(request)), notice: await give(request, api) }),
  };
}
