import { z } from 'zod';
import type { ClusterApi } from '../../contracts/cluster-api.ts';
import { settingView } from '../../model/setting-view.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';

export function settingRoutes(api: Pick<ClusterApi, 'settings'>): ApiRoute[] {
  return [
    apiRoute({
      method: 'get',
      path: '/api/v1/settings',
      summary: 'The settings in force, each with where it came from',
      answer: z.array(settingView),
      handle: () => api.settings(),
    }),
  ];
}
