import { z } from 'zod';
import type { Secrets } from '../../cluster/access/secrets.ts';
import { secretName, secretValue, secretView } from '../../model/secret.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';

const byName = z.object({ name: secretName });

/** Secrets, over the API of a cluster sitter. No answer ever holds a value. */
export function secretRoutes(secrets: Secrets): ApiRoute[] {
  return [
    apiRoute({
      method: 'get',
      path: '/api/v1/secrets',
      summary: 'The names of all secrets, when each was set, and the jobs that are given it',
      answer: z.array(secretView),
      handle: () => secrets.list(),
    }),
    apiRoute({
      method: 'put',
      path: '/api/v1/secrets/:name',
      scope: 'admin',
      summary: 'Set a secret. Jobs that are given it have a new version, where it was another before',
      params: byName,
      body: z.strictObject({ value: secretValue }),
      answer: z.object({ version: z.number(), updated: z.array(z.string()) }),
      handle: ({ params, body, by }) => secrets.set(params.name, body.value, by),
    }),
    apiRoute({
      method: 'delete',
      path: '/api/v1/secrets/:name',
      scope: 'admin',
      summary: 'Remove a secret that no job is given',
      params: byName,
      answer: z.object({ done: z.literal(true) }),
      handle: async ({ params, by }) => {
        await secrets.remove(params.name, by);
        return { done: true };
      },
    }),
  ];
}
