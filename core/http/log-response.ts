import { Readable } from 'node:stream';
import type { Context } from 'koa';
import { CerebroError } from '../errors.ts';
import { firstOffset, type LogSource, readLog } from '../machine/log-file.ts';
import type { LogQuery } from './log-query.ts';

/** Answers with what a task wrote. `Cerebro-Log-Offset` plus the bytes that came is the `offset` with which to go on. */
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
  const options = { run, tail: query.tail, offset: query.offset, follow: query.follow, signal };
  const from = await firstOffset(log, options);
  ctx.type = 'text/plain; charset=utf-8';
  ctx.set('Cache-Control', 'no-store');
  ctx.set('Cerebro-Log-Run', String(run));
  ctx.set('Cerebro-Log-Offset', String(from));
  ctx.body = Readable.from(readLog(log, from, options), { objectMode: false });
  // Only now: Koa sends 404 with the headers while there is no body. A follower learns at once that he is connected.
  if (query.follow) ctx.flushHeaders();
}

/** Ends when the client goes away. */
export function abortOnClose(ctx: Context): AbortSignal {
  const abort = new AbortController();
  ctx.res.once('close', () => abort.abort());
  return abort.signal;
}
