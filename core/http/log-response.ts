import { Readable } from 'node:stream';
import type { Context } from 'koa';
import { CerebroError } from '../errors.ts';
import { firstOffset, type LogSource, readLog } from '../machine/log-file.ts';
import type { LogQuery } from './log-query.ts';
import { rangeOf } from './log-range.ts';

/**
 * Answers with what a task wrote to one stream. `Cerebro-Log-Offset` plus the bytes that came is the `offset` with which to go
 * on; `Range` takes the same offsets.
 */
export async function sendLog(
  ctx: Context,
  log: LogSource & { id: string; runs: readonly number[] },
  query: LogQuery,
): Promise<void> {
  const run = query.run ?? log.newestRun();
  if (query.run !== undefined && !log.runs.includes(query.run)) {
    throw new CerebroError(
      'not_found',
      `run ${query.run} of "${log.id}" is not kept; these are: ${log.runs.join(', ') || 'none'}`,
    );
  }
  const signal = abortOnClose(ctx);
  const whole = query.tail === undefined && query.offset === undefined && !query.follow;
  const range = whole ? takeRange(ctx, log, run) : null;
  if (range === 'outside') return;
  const options = {
    run,
    tail: query.tail,
    offset: range?.first ?? query.offset,
    follow: query.follow,
    signal,
    ...(range && { until: range.end }),
  };
  const from = range?.first ?? (await firstOffset(log, options));
  ctx.type = 'text/plain; charset=utf-8';
  ctx.set('Cache-Control', 'no-store');
  ctx.set('Cerebro-Log-Run', String(run));
  ctx.set('Cerebro-Log-Offset', String(from));
  ctx.body = Readable.from(readLog(log, from, options), { objectMode: false });
  if (range) ctx.length = range.end - range.first;
  // Only now: Koa sends 404 with the headers while there is no body. A follower learns at once that he is connected.
  if (query.follow) ctx.flushHeaders();
}

/** Sets status and headers for a range of a log; 'outside': answered already. */
function takeRange(ctx: Context, log: LogSource, run: number): { first: number; end: number } | 'outside' | null {
  ctx.set('Accept-Ranges', 'bytes');
  const kept = log.log(run);
  const end = kept?.end();
  if (ctx.get('range') === '' || !kept || end === undefined) return null;
  const range = rangeOf(ctx.get('range'), kept.start, end);
  if (range === null) return null;
  if (range === 'outside') {
    ctx.status = 416;
    ctx.set('Content-Range', `bytes */${end}`);
    ctx.body = {
      error: { code: 'invalid', message: `Range: bytes ${kept.start} to ${end} of this run are kept, and no others` },
    };
    return range;
  }
  ctx.status = 206;
  ctx.set('Content-Range', `bytes ${range.first}-${range.end - 1}/${end}`);
  return range;
}

/** Ends when the client goes away. */
export function abortOnClose(ctx: Context): AbortSignal {
  const abort = new AbortController();
  ctx.res.once('close', () => abort.abort());
  return abort.signal;
}
