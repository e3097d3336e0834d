import type { Context } from 'koa';
import { z } from 'zod';
import { type ApiRoute, apiRoute } from './api-route.ts';

/** Ends a machine sitter for the next one: its tasks run on, whatever its settings say of SIGTERM. */
export function handOverRoute(options: { command(ctx: Context): void; end(): void }): ApiRoute {
  return apiRoute({
    method: 'post',
    path: '/api/v1/hand-over',
    summary: 'End the daemon and leave its tasks running, for another daemon that takes its place',
    answer: z.object({ done: z.literal(true) }),
    handle: (_input, ctx) => {
      options.command(ctx);
      options.end();
      return { done: true };
    },
  });
}
