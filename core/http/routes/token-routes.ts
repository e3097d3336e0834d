import { z } from 'zod';
import type { TokenApi } from '../../contracts/token-api.ts';
import { apiTokenView, madeApiToken, newApiToken } from '../../model/api-token.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';

/** The tokens of a cluster: who holds them may do what their scope says. */
export function tokenRoutes(tokens: TokenApi): ApiRoute[] {
  return [
    apiRoute({
      method: 'get',
      path: '/api/v1/tokens',
      scope: 'admin',
      summary: 'The tokens that were made, with their scopes and when each was last used; never the tokens themselves',
      answer: z.array(apiTokenView),
      handle: () => tokens.list(),
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/tokens',
      scope: 'admin',
      summary: 'Make a token; this answer is the only one that shows it',
      body: newApiToken,
      answer: madeApiToken,
      handle: ({ body, by }) => tokens.create(body, by),
    }),
    apiRoute({
      method: 'delete',
      path: '/api/v1/tokens/:which',
      scope: 'admin',
      summary: 'Revoke a token, named by its id or its name; who signed in with it is signed out',
      params: z.object({ which: z.string().min(1).max(64) }),
      answer: apiTokenView,
      handle: ({ params, by }) => tokens.revoke(params.which, by),
    }),
  ];
}
