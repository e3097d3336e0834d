import { z } from 'zod';

/**
 * One copy of a job: a reservation on one machine, kept for as long as the copy stays there.
 *
 *   wanted = run:  placed -> recipe run (`recipeVersion`) -> task given to the machine (`taskVersion`) -> what the task reports
 *   wanted = stop: task taken off the machine -> record deleted
 */
export const copyRecord = z.object({
  id: z.string(),
  job: z.string(),
  zone: z.string(),
  machine: z.string(),
  cpu: z.number(),
  mem: z.number(),
  wanted: z.enum(['run', 'stop']),
  /** The job version that it is to run, that its recipe last finished for, and that its machine was last given. */
  version: z.number().int(),
  recipeVersion: z.number().int().nullable(),
  taskVersion: z.number().int().nullable(),
  reason: z.string(),
  createdAt: z.number(),
  /** When `version` or `wanted` last changed. */
  changedAt: z.number(),
  attempts: z.number().int(),
  nextAttemptAt: z.number(),
  lastError: z.string().nullable(),
});
export type CopyRecord = z.infer<typeof copyRecord>;

/** What people are told of a copy; derived by `decide/copy-state.ts`, never stored. */
export const copyState = z.enum([
  'placed',
  'deploying',
  'starting',
  'ready',
  'failing',
  'stopping',
  'completed',
  'unknown',
]);
export type CopyState = z.infer<typeof copyState>;
