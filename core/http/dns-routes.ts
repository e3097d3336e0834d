import { z } from 'zod';
import type { ClusterApi } from '../contracts/cluster-api.ts';
import { dnsView } from '../model/dns.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';

/** The names of copies, over the API of a cluster sitter. */
export function dnsRoutes(api: ClusterApi): ApiRoute[] {
  return [
    apiRoute({
      method: 'get',
      path: '/api/v1/dns',
      summary: 'Every DNS name of this cluster: what it answers, whose it is, its state, last change and error',
      answer: dnsView,
      handle: () => api.dns(),
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/dns/check',
      summary: "Look at every name, and whether people's own CNAMEs are there, then answer as GET does",
      body: z.strictObject({}),
      answer: dnsView,
      handle: () => api.checkDns(),
    }),
  ];
}
