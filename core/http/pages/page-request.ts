import type { Context } from 'koa';
import type { PageRequest } from '../../contracts/ui.ts';
import type { TokenScope } from '../../model/api-token.ts';

/** What a page is told of a request. */
export function requestOf(ctx: Context, by: string, scope: TokenScope): PageRequest {
  return {
    method: ctx.method === 'POST' ? 'POST' : 'GET',
    path: ctx.path,
    params: Object.fromEntries(Object.entries(ctx.params as Record<string, string>)),
    query: new URLSearchParams(ctx.querystring),
    form: formOf(ctx),
    by,
    scope,
  };
}

export function formOf(ctx: Context): URLSearchParams {
  const form = new URLSearchParams();
  const body: unknown = ctx.request.body;
  if (typeof body !== 'object' || body === null) return form;
  for (const [name, value] of Object.entries(body)) if (typeof value === 'string') form.set(name, value);
  return form;
}
