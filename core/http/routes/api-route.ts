import type Router from '@koa/router';
import type { Context } from 'koa';
import { z } from 'zod';
import type { TokenScope } from '../../model/api-token.ts';
import { errorBody, invalidInput } from '../answers/error-response.ts';
import type { Auth } from '../doors/auth.ts';

export interface ApiInput<P, Q, B> {
  params: P;
  query: Q;
  body: B;
  /** Who asks, for the timeline. */
  by: string;
}

/** One route of `/api/v1`: its schemas check the input and make the OpenAPI document, so neither can lie about the other. */
export interface ApiRoute {
  method: 'get' | 'put' | 'post' | 'delete';
  path: string;
  summary: string;
  params: z.ZodType | undefined;
  query: z.ZodType | undefined;
  body: z.ZodType | undefined;
  answer: z.ZodType;
  /** No token needed. */
  open: boolean;
  /** What the token has to allow. */
  scope: TokenScope;
  handle(input: ApiInput<never, never, never>, ctx: Context): unknown;
}

interface RouteSpec<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> {
  method: ApiRoute['method'];
  path: string;
  summary: string;
  params?: P;
  query?: Q;
  body?: B;
  answer: z.ZodType;
  open?: boolean;
  /** Absent: `read` for what is only looked at (GET), `operate` for the rest. */
  scope?: TokenScope;
  /** Returns the answer, or sets `ctx.body` itself (streams) and returns undefined. */
  handle(input: ApiInput<z.infer<P>, z.infer<Q>, z.infer<B>>, ctx: Context): unknown;
}

export function apiRoute<
  P extends z.ZodType = z.ZodUndefined,
  Q extends z.ZodType = z.ZodUndefined,
  B extends z.ZodType = z.ZodUndefined,
>(spec: RouteSpec<P, Q, B>): ApiRoute {
  return {
    method: spec.method,
    path: spec.path,
    summary: spec.summary,
    params: spec.params,
    query: spec.query,
    body: spec.body,
    answer: spec.answer,
    open: spec.open ?? false,
    scope: spec.scope ?? (spec.method === 'get' ? 'read' : 'operate'),
    handle: spec.handle as ApiRoute['handle'],
  };
}

export function mountRoutes(router: Router, routes: readonly ApiRoute[], auth: Auth): void {
  for (const route of routes) {
    router[route.method](route.path, async (ctx) => {
      const by = route.open ? 'anyone' : auth.caller(ctx, route.scope).by;
      const input = {
        params: check('path', route.params, ctx.params),
        query: check('query', route.query, { ...ctx.query }),
        body: check('body', route.body, ctx.request.body),
        by,
      };
      const answer: unknown = await route.handle(input as ApiInput<never, never, never>, ctx);
      if (answer !== undefined) ctx.body = answer;
    });
  }
}

function check(where: string, schema: z.ZodType | undefined, value: unknown): unknown {
  if (!schema) return undefined;
  const result = schema.safeParse(value ?? {});
  if (!result.success) throw invalidInput(where, result.error, schema);
  return result.data;
}

/** The OpenAPI 3.1 document of a set of routes. */
export function openApi(title: string, version: string, routes: readonly ApiRoute[]): object {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}');
    const operation = {
      summary: route.summary,
      ...(!route.open && { 'x-scope': route.scope }),
      parameters: [...parameters('path', route.params), ...parameters('query', route.query)],
      ...(route.body && { requestBody: { required: true, content: contentOf(route.body, 'input') } }),
      responses: {
        200: { description: 'done', content: contentOf(route.answer, 'output') },
        default: { description: 'refused or failed', content: contentOf(errorBody, 'output') },
      },
      ...(route.open && { security: [] }),
    };
    paths[path] = { ...paths[path], [route.method]: operation };
  }
  return {
    openapi: '3.1.0',
    info: { title, version },
    components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    security: [{ token: [] }],
    paths,
  };
}

function contentOf(schema: z.ZodType, io: 'input' | 'output'): object {
  if (schema instanceof z.ZodString) return { 'text/plain': { schema: { type: 'string' } } };
  return { 'application/json': { schema: z.toJSONSchema(schema, { io, unrepresentable: 'any' }) } };
}

function parameters(where: 'path' | 'query', schema: z.ZodType | undefined): object[] {
  if (!(schema instanceof z.ZodObject)) return [];
  return Object.entries(schema.shape).map(([name, field]) => ({
    name,
    in: where,
    required: where === 'path' || !(field as z.ZodType).safeParse(undefined).success,
    schema: z.toJSONSchema(field as z.ZodType, { io: 'input', unrepresentable: 'any' }),
  }));
}
