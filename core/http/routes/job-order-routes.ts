import { z } from 'zod';
import type { ClusterApi } from '../../contracts/cluster-api.ts';
import { jobRunView, jobRunViewOf } from '../../model/cluster-view.ts';
import { jobVersion } from '../../model/job.ts';
import { taskName } from '../../model/task-configuration.ts';
import { zoneName } from '../../model/zone.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';

const done = z.object({ done: z.literal(true) });
const byName = z.object({ name: taskName });
const number = z.number().int().min(1);

/** What people ask of jobs, beside applying job files. */
export function jobOrderRoutes(api: ClusterApi): ApiRoute[] {
  const order = (
    path: string,
    summary: string,
    give: (name: string, by: string) => Promise<void>,
    method: 'post' | 'delete' = 'post',
  ): ApiRoute =>
    apiRoute({
      method,
      path: `/api/v1/jobs/:name${path}`,
      summary,
      params: byName,
      answer: done,
      handle: async ({ params, by }) => {
        await give(params.name, by);
        return { done: true };
      },
    });
  return [
    order(
      '',
      'Remove a job: its copies are stopped, then it is forgotten',
      (name, by) => api.removeJob(name, by),
      'delete',
    ),
    order('/stop', 'Stop all copies of a job, until it is started again', (name, by) => api.stopJob(name, by)),
    order('/start', 'Start a job that was stopped', (name, by) => api.startJob(name, by)),
    apiRoute({
      method: 'post',
      path: '/api/v1/jobs/:name/restart',
      summary: 'Restart all copies of a job, as many at a time as an update may',
      params: byName,
      answer: z.object({ restarted: z.array(z.string()) }),
      handle: async ({ params, by }) => ({ restarted: await api.restartCopies({ job: params.name }, by) }),
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/jobs/:name/scale',
      summary: 'Change how many copies a job has in a zone',
      params: byName,
      body: z.strictObject({ count: z.number().int().min(0).max(10_000), zone: zoneName.nullable().default(null) }),
      answer: done,
      handle: async ({ params, body, by }) => {
        await api.scaleJob(params.name, body.zone, body.count, by);
        return { done: true };
      },
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/jobs/:name/versions',
      summary: 'The versions of a job that are kept, the newest first, and what became of each',
      params: byName,
      answer: z.array(jobVersion),
      handle: ({ params }) => api.versions(params.name),
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/jobs/:name/rollback',
      summary: 'Go back to a version that is kept; without one, to the last that was well',
      params: byName,
      body: z.strictObject({ to: number.nullable().default(null) }),
      answer: z.object({ version: z.number() }),
      handle: async ({ params, body, by }) => ({ version: await api.rollBack(params.name, body.to, by) }),
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/jobs/:name/rollout',
      summary: 'Pause a roll-out, let it go on, or let it go to all the rest at once',
      params: byName,
      body: z.strictObject({ action: z.enum(['pause', 'resume', 'promote']) }),
      answer: done,
      handle: async ({ params, body, by }) => {
        await api.rollOut(params.name, body.action, by);
        return { done: true };
      },
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/jobs/:name/runs',
      summary: 'The runs of a job that are remembered, oldest first',
      params: byName,
      answer: z.array(jobRunView),
      handle: ({ params }) => api.job(params.name).record.runs.map(jobRunViewOf),
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/jobs/:name/runs',
      summary: 'Run a job once, now',
      params: byName,
      answer: jobRunView,
      handle: async ({ params, by }) => jobRunViewOf(await api.runJob(params.name, by)),
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/jobs/:name/runs/stop',
      summary: 'Stop the run that goes on, or the one of that number',
      params: byName,
      body: z.strictObject({ run: number.nullable().default(null) }),
      answer: z.object({ run: z.number() }),
      handle: async ({ params, body, by }) => ({ run: await api.stopRun(params.name, body.run, by) }),
    }),
  ];
}
