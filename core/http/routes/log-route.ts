import type { Readable } from 'node:stream';
import { z } from 'zod';
import { taskName } from '../../model/task-configuration.ts';
import { clusterLogQuery } from '../answers/log-query.ts';
import { abortOnClose } from '../answers/log-response.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';

/** What a machine answered: its status, what it says of the log, and the log. */
export interface LogAnswer {
  status: number;
  headers: Readonly<Record<string, string>>;
  body: Readable;
}

export interface LogForwarder {
  log(
    name: string,
    which: { machine?: string | undefined; copy?: string | undefined },
    asked: { query: URLSearchParams; headers: Record<string, string> },
    signal: AbortSignal,
  ): Promise<LogAnswer>;
}

/** What a reader says in headers, and what a machine answers in them, is passed on. */
const ASKED = ['range', 'accept', 'last-event-id'] as const;
const ANSWERED = [
  'content-length',
  'content-range',
  'content-disposition',
  'accept-ranges',
  'cerebro-log-run',
  'cerebro-log-offset',
];

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
      const headers: Record<string, string> = {};
      for (const name of ASKED) if (ctx.get(name) !== '') headers[name] = ctx.get(name);
      const which = { machine, copy };
      const answer = await cluster.log(params.id, which, { query: passed, headers }, abortOnClose(ctx));
      // The reader went away, or the machine did: either way the other side is let go.
      answer.body.on('error', () => ctx.res.destroy());
      ctx.status = answer.status;
      // A machine's word is not believed about what a browser is to make of it: text is text, whatever is in it.
      const live = answer.headers['content-type']?.startsWith('text/event-stream') ?? false;
      ctx.type = live ? 'text/event-stream' : 'text/plain; charset=utf-8';
      ctx.set('Content-Security-Policy', "sandbox; default-src 'none'");
      for (const name of ANSWERED) {
        const value = answer.headers[name];
        if (value !== undefined) ctx.set(name, value);
      }
      ctx.set('Cache-Control', 'no-store');
      const length = answer.headers['content-length'];
      ctx.body = answer.body;
      if (length !== undefined) ctx.length = Number(length);
      if (query.follow || length === undefined) ctx.flushHeaders();
    },
  });
}
