import type { Readable } from 'node:stream';
import type { Context, Middleware } from 'koa';
import type { Peers } from '../cluster/leader/peers.ts';
import { CerebroError } from '../errors.ts';
import {
  FORWARDED_BY_HEADER,
  FORWARDED_SCOPE_HEADER,
  FORWARDED_SESSION_HEADER,
  REVISION_HEADER,
} from '../model/forwarded-call.ts';
import type { Auth, Caller } from './doors/auth.ts';

const READS = new Set(['GET', 'HEAD', 'OPTIONS']);
/** What is no change of the cluster's: answered by whoever is asked. */
const OWN_AFFAIRS = new Set([
  ...['/signin', '/signout', '/api/v1/plan', '/api/v1/down'],
  ...['/api/v1/settings/log-level', '/settings/log-level', '/update_logging_level'],
]);
/** What the answer is made by. Credentials (`authorization`, `cookie`) stay here. */
const SENT = ['accept', 'accept-language', 'content-type', 'user-agent', 'hx-request', 'hx-target', 'hx-current-url'];
/** Of one connection, and not of the answer; a session is begun and ended where the browser is. */
const NOT_RETURNED = new Set([
  ...['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'trailer', 'upgrade', 'date', 'set-cookie'],
  REVISION_HEADER,
]);

export interface ForwardParts {
  auth: Auth;
  peers: Pick<Peers, 'leads' | 'leaderUrl' | 'sentence' | 'revision' | 'passOn' | 'heard'>;
}

/**
 * Changes are made by the cluster sitter that leads. One that stands by finds out who asks, passes the request on over mutual TLS with
 * that name instead of the credentials, and answers what the leader answered, once it has heard of the change itself: who asks here
 * next finds it. What was passed on is never passed on again.
 */
export function forwardToLeader({ auth, peers }: ForwardParts): Middleware {
  return async (ctx, next) => {
    if (auth.isForwarded(ctx)) {
      await next();
      ctx.set(REVISION_HEADER, String(peers.revision));
      return;
    }
    if (READS.has(ctx.method) || isOwnAffair(ctx.path) || peers.leads()) return next();
    const caller = auth.who(ctx);
    const url = peers.leaderUrl;
    if (url === null)
      throw new CerebroError(
        'unavailable',
        `nothing was done: ${peers.sentence ?? 'the lead has just changed'}. Try again in a moment`,
      );
    const answer = await peers.passOn(url, {
      method: ctx.method,
      path: ctx.url,
      headers: headersFor(ctx, caller),
      body: bodyOf(ctx),
    });
    const revision = Number(answer.headers[REVISION_HEADER]);
    if (revision > 0) await peers.heard(revision);
    ctx.status = answer.status;
    for (const [name, value] of Object.entries(answer.headers))
      if (value !== undefined && !NOT_RETURNED.has(name)) ctx.set(name, value);
    ctx.body = answer.body;
  };
}

/** As the routers see it: to them capitals and one slash at the end are the same path. */
function isOwnAffair(path: string): boolean {
  return OWN_AFFAIRS.has(path.toLowerCase().replace(/\/$/, ''));
}

function headersFor(ctx: Context, { by, scope, session }: Caller): Record<string, string> {
  const headers: Record<string, string> = { [FORWARDED_BY_HEADER]: by, [FORWARDED_SCOPE_HEADER]: scope };
  if (session !== null) headers[FORWARDED_SESSION_HEADER] = session.id;
  for (const name of SENT) {
    const value = ctx.get(name);
    if (value !== '') headers[name] = value;
  }
  return headers;
}

/** As it came: of what was read to find out who asks the text is kept, anything else has not been read. */
function bodyOf(ctx: Context): string | Readable | undefined {
  if (ctx.request.rawBody !== undefined) return ctx.request.rawBody;
  return ctx.get('content-length') === '' && ctx.get('transfer-encoding') === '' ? undefined : ctx.req;
}
