import { z } from 'zod';
import type { Vitals } from '../../machine/vitals.ts';
import { history, historySpan, MACHINE_SUBJECT } from '../../model/history.ts';
import { machineVitals } from '../../model/vitals.ts';
import { type ApiRoute, apiRoute } from './api-route.ts';

/** How a machine and its tasks are doing, and how they did. */
export function vitalsRoutes(vitals: Vitals): ApiRoute[] {
  return [
    apiRoute({
      method: 'get',
      path: '/api/v1/vitals',
      summary: 'Processors, memory, load, disk, network and pressure of this machine, and what each task takes',
      answer: machineVitals,
      handle: () => vitals.now(),
    }),
    apiRoute({
      method: 'get',
      path: '/api/v1/history',
      summary:
        'The last hour (a point every 5 s) or day (every minute) of "machine" or of a task; "task:ID" is always a task',
      query: z.strictObject({
        of: z.string().min(1).max(200).default(MACHINE_SUBJECT),
        span: historySpan.default('hour'),
      }),
      answer: history,
      handle: ({ query }) => vitals.history(query.of, query.span),
    }),
  ];
}
