import Router from '@koa/router';
import Koa from 'koa';
import { z } from 'zod';
import type { Logger } from '../contracts/logger.ts';
import { CerebroError } from '../errors.ts';
import { isBrokenConnection } from './answers/broken-connection.ts';
import { compressAnswers } from './answers/compress-answers.ts';
import { answerErrors, type ErrorAnswer } from './answers/error-response.ts';
import type { Auth } from './doors/auth.ts';
import { endWithToken } from './doors/end-with-token.ts';
import { requestBodies } from './doors/request-bodies.ts';
import { type ApiRoute, apiRoute, mountRoutes, openApi } from './routes/api-route.ts';

export interface DaemonAppParts {
  title: string;
  version: string;
  auth: Auth;
  logger: Logger;
  routes: readonly ApiRoute[];
  /** Before that, everything but /healthz is answered with "starting": an empty list would be a lie. */
  ready(): boolean;
  /** Makes a page of an error where a person looks on, and says whether it did. */
  errorPage?: (ctx: Koa.Context, answer: ErrorAnswer) => boolean;
  /** Pages and other endpoints that have an error form of their own; asked before the routes. */
  before?: Koa.Middleware[];
}

/** The Koa app of a daemon: bounded bodies, JSON errors, the routes and the OpenAPI document that describes them. */
export function daemonApp(parts: DaemonAppParts): Koa {
  const app = new Koa();
  app.on('error', (error: Error, { method, path }: Koa.Context) => {
    if (isBrokenConnection(error)) parts.logger.debug({ err: error, method, path }, 'a connection broke');
    else parts.logger.error({ err: error, method, path }, 'an answer failed when it was under way');
  });
  app.use(async (ctx, next) => {
    ctx.set('X-Content-Type-Options', 'nosniff');
    await next();
  });
  app.use(compressAnswers());
  app.use(answerErrors(parts.logger, parts.errorPage ?? (() => false)));
  app.use(async (ctx, next) => {
    if (!parts.ready() && ctx.path !== '/healthz')
      throw new CerebroError('unavailable', 'the daemon is starting; try again in a moment');
    await next();
  });
  app.use(endWithToken(parts.auth));
  app.use(requestBodies(parts.auth));
  for (const middleware of parts.before ?? []) app.use(middleware);
  const router = new Router();
  const described = [
    ...parts.routes,
    apiRoute({
      method: 'get',
      path: '/api/v1/openapi.json',
      summary: 'This document',
      answer: z.record(z.string(), z.unknown()),
      open: true,
      handle: () => document,
    }),
  ];
  const document = openApi(parts.title, parts.version, described);
  mountRoutes(router, described, parts.auth);
  app.use(router.routes());
  app.use(async (ctx) => {
    throw new CerebroError(
      'not_found',
      `there is nothing at ${ctx.method} ${ctx.path}; /api/v1/openapi.json lists what is`,
    );
  });
  return app;
}
