import { z } from 'zod';
import type { ClusterApi } from '../../contracts/cluster-api.ts';
import { CerebroError } from '../../errors.ts';
import { alertView } from '../../model/alert.ts';
import {
  applyResult,
  clusterStatus,
  copyView,
  explanation,
  forecast,
  jobView,
  machineView,
  pluginView,
} from '../../model/cluster-view.ts';
import { jobRecord } from '../../model/job.ts';
import { runEnd } from '../../model/task.ts';
import { taskName } from '../../model/task-configuration.ts';
import { zoneName } from '../../model/zone.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';
import { clusterEventRoute } from './event-routes.ts';
import { jobOrderRoutes } from './job-order-routes.ts';
import { machineOrderRoutes } from './machine-order-routes.ts';

const done = z.object({ done: z.literal(true) });
const byName = z.object({ name: taskName });
const byId = z.object({ id: taskName });

/** One id, or several: the parameter may stand there more than once. */
const machineIds = z.union([z.string().transform((id) => [id]), z.array(z.string()).max(1000)]).default([]);

/** The API of a cluster sitter. */
export function clusterRoutes(api: ClusterApi, control: { down: (by: string) => Promise<void> }): ApiRoute[] {
  return [
    apiRoute({
      method: 'get',
      path: '/healthz',
      summary: 'Whether the daemon is there; needs no token',
      answer: z.object({ ok: z.literal(true), mode: z.literal('cluster') }),
      open: true,
      handle: () => ({ ok: true, mode: 'cluster' }),
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/status',
      summary: 'The cluster at a glance',
      answer: clusterStatus,
      handle: () => api.status(),
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/jobs',
      summary: 'All jobs',
      answer: z.array(jobView),
      handle: () => api.jobs(),
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/jobs',
      summary: 'Apply a job file (YAML or JSON): all of it or, when anything in it is wrong, nothing',
      query: z.strictObject({
        source: z.string().max(1000).default('the job file'),
        dry_run: z.enum(['0', '1']).default('0'),
        /** Refuse when the job was changed after this: its `updatedAt` as it was read. */
        if_updated_at: z.string().max(40).optional(),
      }),
      answer: applyResult,
      handle: ({ query, by }, ctx) => {
        // The text as it was sent, whatever it calls itself: line numbers in messages are those of the file.
        const text = ctx.request.rawBody;
        if (!text)
          throw new CerebroError('invalid', 'body: expected a job file, sent as text/yaml (or application/json)');
        const { source, dry_run, if_updated_at: ifUpdatedAt } = query;
        return api.apply(text, { source, dryRun: dry_run === '1', by, ifUpdatedAt });
      },
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/plan',
      scope: 'read',
      summary:
        'What would be done: with this job file (or none), were these machines lost or drained. Nothing is changed',
      query: z.strictObject({
        source: z.string().max(1000).default('the job file'),
        lost: machineIds,
        drain: machineIds,
      }),
      answer: forecast,
      handle: ({ query }, ctx) =>
        api.plan({
          text: ctx.request.rawBody ?? '',
          source: query.source,
          lost: query.lost,
          drained: query.drain,
        }),
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/jobs/:name',
      summary: 'One job, with its configuration',
      params: byName,
      answer: jobView.extend({ record: jobRecord }),
      handle: ({ params }) => api.job(params.name),
    }),
    ...jobOrderRoutes(api),
    apiRoute({
      method: 'get',
      path: '/api/v1/machines',
      summary: 'All machines',
      answer: z.array(machineView),
      handle: () => api.machines(),
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/machines/:id',
      summary: 'One machine',
      params: byId,
      answer: machineView,
      handle: ({ params }) => api.machine(params.id),
    }),
    ...machineOrderRoutes(api),
    apiRoute({
      method: 'get',
      path: '/api/v1/copies',
      summary: 'All copies',
      query: z.strictObject({ job: z.string().optional(), machine: z.string().optional() }),
      answer: z.array(copyView),
      handle: ({ query }) =>
        api.copies({
          ...(query.job !== undefined && { job: query.job }),
          ...(query.machine !== undefined && { machine: query.machine }),
        }),
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/copies/:id',
      summary: 'One copy',
      params: byId,
      answer: copyView,
      handle: ({ params }) => api.copy(params.id),
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/copies/:id/restart',
      summary: 'Restart one copy',
      params: byId,
      answer: z.object({ restarted: z.array(z.string()) }),
      handle: async ({ params, by }) => ({ restarted: await api.restartCopies({ copy: params.id }, by) }),
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/copies/:id/runs',
      summary: 'The post-mortems of a copy, oldest first',
      params: byId,
      answer: z.array(runEnd),
      handle: ({ params }) => api.postMortems(params.id),
    }),
    clusterEventRoute(api),
    apiRoute({
      method: 'get',
      path: '/api/v1/explain/:id',
      summary: 'Why a job, machine or copy is as it is: one sentence each, and the events that led there',
      params: byId,
      answer: explanation,
      handle: ({ params }) => api.explain(params.id),
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/alerts',
      summary: 'The alerts that last, the newest first',
      answer: z.array(alertView),
      handle: () => api.alerts(),
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/plugins',
      summary: 'The plugins that are loaded',
      answer: z.array(pluginView),
      handle: () => api.plugins(),
    }),
    apiRoute({
      method: 'put',
      path: '/api/v1/settings/idle-limit',
      scope: 'admin',
      summary: 'How many idle machines each zone (or one) keeps; -1 ends none',
      body: z.strictObject({ limit: z.number().int().min(-1), zone: zoneName.nullable().default(null) }),
      answer: done,
      handle: async ({ body, by }) => {
        await api.setIdleLimit(body.limit, body.zone, by);
        return { done: true };
      },
    }),
    apiRoute({
      method: 'put',
      path: '/api/v1/settings/log-level',
      scope: 'admin',
      summary: "How much the daemon's own log says, until the next start",
      body: z.strictObject({ level: z.enum(['trace', 'debug', 'info', 'warn', 'error']) }),
      answer: done,
      handle: ({ body, by }) => {
        api.setLogLevel(body.level, by);
        return { done: true };
      },
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/down',
      scope: 'admin',
      summary: 'Stop every task and machine of this host, then this daemon; the next start takes it all up again',
      body: z.strictObject({ confirm: z.literal('down') }).or(z.object({})),
      answer: done,
      handle: async ({ body, by }) => {
        if (!('confirm' in body))
          throw new CerebroError(
            'invalid',
            'body.confirm: expected "down", so that nobody stops everything by accident',
          );
        await control.down(by);
        return { done: true };
      },
    }),
  ];
}
