import { Readable } from 'node:stream';
import type { Context } from 'koa';
import { CerebroError } from '../../errors.ts';
import { firstOffset, type LogSource, readLog } from '../../machine/logs/log-file.ts';
import type { LogQuery } from './log-query.ts';
import { rangeOf } from './log-range.ts';
import { sendBytes } from './send-bytes.ts';

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
  ctx.type = 'text/plain; charset=utf-8';
  ctx.set('Cache-Control', 'no-store');
  ctx.set('Cerebro-Log-Run', String(run));
  if (query.follow) await follow(ctx, log, { ...query, run });
  else await sendOnce(ctx, log, { ...query, run });
}

async function follow(ctx: Context, log: LogSource, query: LogQuery & { run: number }): Promise<void> {
  const { run, tail, offset } = query;
  const options = { run, tail, offset, follow: true, signal: abortOnClose(ctx) };
  const from = await firstOffset(log, options);
  ctx.set('Cerebro-Log-Offset', String(from));
  ctx.body = Readable.from(readLog(log, from, options), { objectMode: false });
  // Only now: Koa sends 404 with the headers while there is no body. A follower learns at once that he is connected.
  ctx.flushHeaders();
}

/** What there is now is all: a task that writes faster than it is read would never end. */
async function sendOnce(ctx: Context, log: LogSource, query: LogQuery & { run: number }): Promise<void> {
  const { run, tail, offset } = query;
  const open = await log.log(run)?.open();
  if (!open) {
    ctx.set('Cerebro-Log-Offset', '0');
    ctx.body = '';
    return;
  }
  try {
    const end = await open.end();
    const range = tail === undefined && offset === undefined ? takeRange(ctx, open.log.start, end) : null;
    if (range === 'outside') return;
    const { signal } = new AbortController();
    const from = range?.first ?? (await firstOffset(log, { run, tail, offset, follow: false, signal }));
    ctx.set('Cerebro-Log-Offset', String(from));
    if (range) ctx.length = range.end - range.first;
    // Koa would answer for us, through two streams: this is the one place where bytes count.
    ctx.respond = false;
    ctx.res.statusCode = range ? 206 : 200;
    if (ctx.method === 'HEAD') ctx.res.end();
    else await sendBytes(ctx.res, open, { from, until: range?.end ?? end, exact: range !== null });
  } catch (error) {
    // Where the headers are on their way already, a broken connection is all that can be said.
    if (ctx.res.headersSent) ctx.res.destroy();
    else {
      ctx.respond = true;
      throw error;
    }
  } finally {
    await open.close();
  }
}

/** Sets status and headers for a range of a log of which the bytes `start` to `end` are kept; 'outside': answered already. */
function takeRange(ctx: Context, start: number, end: number): { first: number; end: number } | 'outside' | null {
  ctx.set('Accept-Ranges', 'bytes');
  if (ctx.get('range') === '') return null;
  const range = rangeOf(ctx.get('range'), start, end);
  if (range === null) return null;
  if (range === 'outside') {
    ctx.status = 416;
    ctx.remove('Content-Disposition');
    ctx.set('Content-Range', `bytes */${end}`);
    ctx.body = {
      error: { code: 'invalid', message: `Range: bytes ${start} to ${end} of this run are kept, and no others` },
    };
    return range;
  }
  ctx.set('Content-Range', `bytes ${range.first}-${range.end - 1}/${end}`);
  return range;
}

/** Ends when the client goes away. */
export function abortOnClose(ctx: Context): AbortSignal {
  const abort = new AbortController();
  ctx.res.once('close', () => abort.abort());
  return abort.signal;
}
