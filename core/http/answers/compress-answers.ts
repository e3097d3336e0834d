import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Context, Middleware } from 'koa';

const gzipped = promisify(gzip);

/** What fits into one packet does not arrive sooner when it is smaller. */
const LEAST_BYTES = 1400;
/** Each answer is packed anew, so this is where most of the bytes are saved for little of the processor's time (bench/pages.ts). */
const LEVEL = 3;
const TEXT =
  /^(text\/(?!event-stream)|application\/([\w.-]+\+)?json$|application\/(javascript|yaml)$|image\/svg\+xml$)/;

/**
 * Packs answers that stand in memory as a whole: pages, JSON, metrics. What comes as a stream (logs, events, backups) goes out as it
 * comes, so nothing that somebody follows waits in a buffer, and ranges and lengths of logs stay those of the log.
 */
export function compressAnswers(): Middleware {
  return async (ctx, next) => {
    await next();
    const body = wholeBody(ctx);
    if (body === null || body.length < LEAST_BYTES) return;
    ctx.vary('Accept-Encoding');
    if (!mayBeCompressed(ctx)) return;
    ctx.set('Content-Encoding', 'gzip');
    ctx.body = await gzipped(body, { level: LEVEL });
  };
}

/** Whether the caller takes gzip, and does not rather have the answer as it is. */
export function takesGzip(ctx: Context): boolean {
  return ctx.acceptsEncodings('gzip', 'identity') === 'gzip';
}

/**
 * Not for what another site has a browser ask for: with an eye on the line, it could learn from the size of the answer what of its own
 * input the page holds, too (BREACH). Browsers say so themselves; programs, which nobody else can lead, say nothing.
 */
function mayBeCompressed(ctx: Context): boolean {
  const site = ctx.get('sec-fetch-site');
  return takesGzip(ctx) && (site === '' || site === 'same-origin' || site === 'none');
}

/** The bytes of an answer that is text and complete; null for every other. */
function wholeBody(ctx: Context): Buffer | null {
  if (ctx.respond === false || ctx.headerSent || ctx.res.hasHeader('Content-Encoding')) return null;
  if (!TEXT.test(ctx.response.type)) return null;
  const body: unknown = ctx.body;
  if (typeof body === 'string') return Buffer.from(body);
  if (Buffer.isBuffer(body)) return body;
  return isJson(body) ? Buffer.from(JSON.stringify(body)) : null;
}

/** What Koa would write as JSON: anything that has no way of its own to be sent. */
function isJson(body: unknown): body is object {
  if (typeof body !== 'object' || body === null) return false;
  return (
    !('pipe' in body) && !(body instanceof ReadableStream) && !(body instanceof Blob) && !(body instanceof Response)
  );
}
