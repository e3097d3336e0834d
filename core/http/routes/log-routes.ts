import { Readable } from 'node:stream';
import type { Context } from 'koa';
import { z } from 'zod';
import { linePattern } from '../../decide/read/line-pattern.ts';
import { CerebroError } from '../../errors.ts';
import { offsetSince } from '../../machine/logs/log-times.ts';
import type { MachineSitter } from '../../machine/machine-sitter.ts';
import { firstCursor, type LogCursor, type StreamName } from '../../machine/task/log-lines.ts';
import type { TaskLogs } from '../../machine/task/task-logs.ts';
import { taskName } from '../../model/task-configuration.ts';
import { asEvents, asText, wantedLines } from '../answers/log-lines-response.ts';
import { sinceMs, type TaskLogQuery, taskLogQuery } from '../answers/log-query.ts';
import { abortOnClose, sendLog } from '../answers/log-response.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';

/** `/logs` of a machine sitter. */
export function machineLogRoutes(sitter: MachineSitter): ApiRoute[] {
  return [
    apiRoute({
      method: 'get',
      path: '/logs',
      summary: 'The tasks that have logs',
      answer: z.array(z.object({ task: z.string(), job: z.string(), run: z.number(), runs: z.array(z.number()) })),
      handle: () =>
        sitter.tasks().map(({ id, job, run }) => ({ task: id, job, run, runs: run === 0 ? [] : sitter.logs(id).runs })),
    }),
    apiRoute({
      method: 'get',
      path: '/logs/:id',
      summary:
        'What a task wrote: bytes, with Range; lines, with `grep`, `since` or both streams; with "Accept: text/event-stream" a stream of lines',
      params: z.object({ id: taskName }),
      query: taskLogQuery,
      answer: z.string(),
      handle: ({ params, query }, ctx) => sendTaskLog(ctx, sitter.logs(params.id), query),
    }),
  ];
}

async function sendTaskLog(ctx: Context, logs: TaskLogs, query: TaskLogQuery): Promise<void> {
  const live = ctx.get('accept').includes('text/event-stream');
  if (query.download) ctx.attachment(`${logs.id}.${query.run ?? logs.newestRun}.${query.stream}.log`);
  if (live || query.stream === 'both' || query.grep !== undefined || query.since !== undefined)
    return await sendLines(ctx, logs, query, live);
  const { stream } = query;
  await sendLog(ctx, { id: logs.id, runs: logs.runs, ...logs.source(stream) }, { ...query, stream });
}

async function sendLines(ctx: Context, logs: TaskLogs, query: TaskLogQuery, live: boolean): Promise<void> {
  const pattern = query.grep === undefined ? null : linePattern(query.grep);
  const streams: StreamName[] = query.stream === 'both' ? ['stdout', 'stderr'] : [query.stream];
  const begin = await beginning(ctx, logs, query, streams);
  // What cannot be read is told now, while there is an answer to tell it with.
  for (const stream of streams) await (await logs.log(begin.run, stream)?.open())?.close();
  const signal = abortOnClose(ctx);
  const follow = live || query.follow;
  const through = query.run === undefined && query.since !== undefined ? logs.newestRun : begin.run;
  const options = { run: begin.run, streams, from: begin.from, through, follow, partial: !follow, timed: live, signal };
  const lines = wantedLines(logs, options, { pattern, tail: begin.resumed ? undefined : query.tail });
  ctx.set('Cache-Control', 'no-store');
  ctx.set('Cerebro-Log-Run', String(begin.run));
  if (live) {
    ctx.type = 'text/event-stream';
    ctx.set('X-Accel-Buffering', 'no');
    ctx.body = Readable.from(asEvents(lines, signal), { objectMode: false });
  } else {
    ctx.type = 'text/plain; charset=utf-8';
    ctx.body = Readable.from(asText(lines), { objectMode: false });
  }
  if (follow) ctx.flushHeaders();
}

interface Beginning {
  run: number;
  from: LogCursor;
  /** It goes on where an earlier connection ended. */
  resumed: boolean;
}

/** Where reading begins: at the cursor of who reconnects, at a time, or as `run`, `offset` and `tail` say. */
async function beginning(
  ctx: Context,
  logs: TaskLogs,
  query: TaskLogQuery,
  streams: readonly StreamName[],
): Promise<Beginning> {
  const cursor = lastCursor(ctx);
  if (cursor) {
    // The run may be kept no more: then it goes on with the first that is.
    const run = logs.runs.find((kept) => kept >= cursor.run) ?? logs.newestRun;
    return { run, from: run === cursor.run ? cursor.from : { stdout: 0, stderr: 0 }, resumed: true };
  }
  const since = query.since === undefined ? undefined : sinceMs(query.since, Date.now());
  const run = query.run ?? (since === undefined ? logs.newestRun : logs.runAt(since));
  if (query.run !== undefined && !logs.runs.includes(run)) throw notKept(logs, run);
  if (since !== undefined) {
    const marks = logs.times(run);
    const at = (stream: StreamName): number => offsetSince(marks, stream, since);
    return { run, from: { stdout: at('stdout'), stderr: at('stderr') }, resumed: false };
  }
  if (query.offset !== undefined) {
    if (query.stream === 'both')
      throw new CerebroError('invalid', 'query.offset: is of one stream; both together begin at `since` or `tail`');
    return { run, from: { stdout: query.offset, stderr: query.offset }, resumed: false };
  }
  // With a pattern, the last lines that fit may stand anywhere.
  const count = query.grep === undefined ? query.tail : undefined;
  return { run, from: await firstCursor(logs, run, streams, count), resumed: false };
}

function lastCursor(ctx: Context): { run: number; from: LogCursor } | null {
  const header = ctx.get('last-event-id').trim();
  if (header === '') return null;
  const found = /^(\d{1,15}):(\d{1,15}),(\d{1,15})$/.exec(header);
  if (found) return { run: Number(found[1]), from: { stdout: Number(found[2]), stderr: Number(found[3]) } };
  throw new CerebroError(
    'invalid',
    `Last-Event-ID: expected the id of a line, like 3:1200,88; got ${header.slice(0, 40)}`,
  );
}

function notKept(logs: TaskLogs, run: number): CerebroError {
  return new CerebroError(
    'not_found',
    `run ${run} of "${logs.id}" is not kept; these are: ${logs.runs.join(', ') || 'none'}`,
  );
}
