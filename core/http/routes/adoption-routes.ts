import { z } from 'zod';
import type { Adoption } from '../../cluster/machines/adoption.ts';
import { adoptionView } from '../../model/adoption.ts';
import { taskName } from '../../model/task-configuration.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';

/** Taking over machines that run already, over the API of a cluster sitter. */
export function adoptionRoutes(adoption: Adoption): ApiRoute[] {
  return [
    apiRoute({
      method: 'post',
      path: '/api/v1/adopt',
      scope: 'admin',
      summary: 'Take over machines that bear the tag of a cluster and that no record knows, with what runs on them',
      body: z.strictObject({
        /** Absent: those with this cluster's own tag. */
        cluster: z.string().min(1).max(200).optional(),
        dryRun: z.boolean().default(false),
      }),
      answer: adoptionView,
      handle: ({ body, by }) => adoption.adopt({ ...body, by }),
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/adopt/end',
      scope: 'admin',
      summary: 'End tasks that were found on adopted machines and are copies of no job',
      body: z.strictObject({ tasks: z.array(taskName).min(1).max(1000) }),
      answer: z.object({ done: z.literal(true) }),
      handle: async ({ body, by }) => {
        await adoption.end(body.tasks, by);
        return { done: true };
      },
    }),
  ];
}
