import type { Readable } from 'node:stream';
import { z } from 'zod';
import { taskName } from '../model/task-configuration.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';
import { clusterLogQuery } from './log-query.ts';
import { abortOnClose } from './log-response.ts';

export interface LogForwarder {
  log(
    name: string,
    which: { machine?: string | undefined; copy?: string | undefined },
    query: URLSearchParams,
    signal: AbortSignal,
  ): Promise<Readable>;
}

/** `/logs/:task` of a cluster sitter: finds the machine and passes on what it sends. */
export function clusterLogRoute(cluster: LogForwarder): ApiRoute {
  return apiRoute({
    method: 'get',
    path: '/logs/:id',
    summary: 'What a copy of a job wrote; `copy` or `machine` where the job has several',
    params: z.object({ id: taskName }),
    query: clusterLogQuery,
    answer: z.string(),
    handle: async ({ params, query }, ctx) => {
      const { machine, copy, ...rest } = query;
      const passed = new URLSearchParams();
      for (const [key, value] of Object.entries(rest))
        if (value !== undefined) passed.set(key, value === true ? '1' : value === false ? '0' : String(value));
      const stream = await cluster.log(params.id, { machine, copy }, passed, abortOnClose(ctx));
      // The reader went away, or the machine did: either way the other side is let go.
      stream.on('error', () => ctx.res.destroy());
      ctx.type = 'text/plain; charset=utf-8';
      ctx.set('Cache-Control', 'no-store');
      ctx.body = stream;
      if (query.follow) ctx.flushHeaders();
    },
  });
}
