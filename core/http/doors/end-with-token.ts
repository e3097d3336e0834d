import { Readable } from 'node:stream';
import type { Middleware } from 'koa';
import type { Auth } from './auth.ts';

/** How often it is looked at whether who listens still may, in milliseconds. */
const LOOK_MS = 2000;

/** A stream that goes on (a log, the timeline, what tells an open page of changes) ends soon after the token that it was opened with. */
export function endWithToken(auth: Pick<Auth, 'knows'>): Middleware {
  return async (ctx, next) => {
    await next();
    if (!(ctx.body instanceof Readable) || ctx.res.destroyed || !auth.knows(ctx)) return;
    const timer = setInterval(() => {
      if (!auth.knows(ctx)) ctx.res.destroy();
    }, LOOK_MS);
    ctx.res.once('close', () => clearInterval(timer));
  };
}
