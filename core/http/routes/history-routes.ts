import { z } from 'zod';
import type { ClusterApi } from '../../contracts/cluster-api.ts';
import { history, historySpan } from '../../model/history.ts';
import { taskName } from '../../model/task-configuration.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';

const byId = z.object({ id: taskName });
const bySpan = z.strictObject({ span: historySpan.default('hour') });

/** The past of machines and copies, as their machine has kept it: the cluster sitter passes the question on. */
export function historyRoutes(api: Pick<ClusterApi, 'history'>): ApiRoute[] {
  return [
    apiRoute({
      method: 'get',
      path: '/api/v1/machines/:id/history',
      summary: 'How a machine did over the last hour or day',
      params: byId,
      query: bySpan,
      answer: history,
      handle: ({ params, query }) => api.history({ machine: params.id }, query.span),
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/copies/:id/history',
      summary: 'What a copy took over the last hour or day',
      params: byId,
      query: bySpan,
      answer: history,
      handle: ({ params, query }) => api.history({ copy: params.id }, query.span),
    }),
  ];
}
