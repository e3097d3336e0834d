import { z } from 'zod';
import type { ClusterApi } from '../../contracts/cluster-api.ts';
import { machineLogin } from '../../model/machine-login.ts';
import { taskName } from '../../model/task-configuration.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';

const done = z.object({ done: z.literal(true) });
const byId = z.object({ id: taskName });

/** What people ask of machines. */
export function machineOrderRoutes(api: ClusterApi): ApiRoute[] {
  const order = (path: string, summary: string, give: (id: string, by: string) => Promise<void>): ApiRoute =>
    apiRoute({
      method: 'post',
      path: `/api/v1/machines/:id/${path}`,
      summary,
      params: byId,
      answer: done,
      handle: async ({ params, by }) => {
        await give(params.id, by);
        return { done: true };
      },
    });
  return [
    order('cordon', 'Give a machine no more copies', (id, by) => api.cordonMachine(id, true, by)),
    order('uncordon', 'Let a machine have copies again', (id, by) => api.cordonMachine(id, false, by)),
    apiRoute({
      method: 'post',
      path: '/api/v1/machines/:id/drain',
      summary: 'Move everything away from a machine, then end it',
      params: byId,
      body: z.strictObject({
        /** Seconds until its copies are stopped although none elsewhere is ready; 0: never; absent: as the settings say. */
        deadline: z.number().min(0).max(604_800).optional(),
      }),
      answer: done,
      handle: async ({ params, body, by }) => {
        await api.drainMachine(params.id, by, body.deadline);
        return { done: true };
      },
    }),
    order('undrain', 'Let a machine that is being drained be', (id, by) => api.cancelDrain(id, by)),
    apiRoute({
      method: 'post',
      path: '/api/v1/machines/:id/replace',
      summary: 'Order a machine like it; when that is ready, this one is drained and ended',
      params: byId,
      answer: z.object({ machine: z.string() }),
      handle: async ({ params, by }) => ({ machine: await api.replaceMachine(params.id, by) }),
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/login/:id',
      scope: 'operate',
      summary: 'How to get onto a machine, named by its id, by a copy, or by a job that runs on one machine',
      params: byId,
      answer: machineLogin,
      handle: ({ params }) => api.login(params.id),
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/machines/:id/provider/:action',
      summary: 'Something that only the provider of this machine can do, like `crash` of the local one',
      params: byId.extend({ action: z.string() }),
      answer: z.object({ sentence: z.string() }),
      handle: async ({ params, by }) => ({ sentence: await api.providerAction(params.id, params.action, by) }),
    }),
  ];
}
