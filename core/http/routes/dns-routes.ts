import { z } from 'zod';
import type { ClusterApi } from '../../contracts/cluster-api.ts';
import { dnsAbout } from '../../decide/dns/dns-about.ts';
import { type DnsView, dnsView } from '../../model/dns.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';

/** `about`: a name, a basename or a job; absent: all. */
const which = z.strictObject({ about: z.string().min(1).max(300).optional() });

/** The names of copies, over the API of a cluster sitter. */
export function dnsRoutes(api: ClusterApi): ApiRoute[] {
  return [
    apiRoute({
      method: 'get',
      path: '/api/v1/dns',
      summary: 'Every DNS name of this cluster: what it answers, whose it is, its state, last change and error',
      query: which,
      answer: dnsView,
      handle: ({ query }) => part(api.dns(), query.about),
    }),
    apiRoute({
      method: 'post',
      path: '/api/v1/dns/check',
      summary: "Look at every name, and whether people's own CNAMEs are there, then answer as GET does",
      query: which,
      body: z.strictObject({}),
      answer: dnsView,
      handle: async ({ query }) => part(await api.checkDns(), query.about),
    }),
  ];
}

function part(view: DnsView, about: string | undefined): DnsView {
  return about === undefined ? view : dnsAbout(view, about);
}
