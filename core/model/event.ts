import { z } from 'zod';

/** One line of the one timeline. `seq` grows without gaps in one store; `job`, `machine`, `copy` say whose timelines it is on. */
export const clusterEvent = z.object({
  seq: z.number().int(),
  at: z.string(),
  kind: z.string(),
  level: z.enum(['info', 'warn', 'error']),
  message: z.string(),
  job: z.string().optional(),
  machine: z.string().optional(),
  copy: z.string().optional(),
  by: z.string().optional(),
});
export type ClusterEvent = z.infer<typeof clusterEvent>;
export type NewEvent = Omit<ClusterEvent, 'seq' | 'at'>;
