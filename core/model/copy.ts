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
  /** Grows with each restart that is asked for; and the one that its machine was last given. */
  generation: z.number().int(),
  taskGeneration: z.number().int(),
  /** How many restarts of its whole job it has been through. */
  jobRestarts: z.number().int(),
  /** The versions of linked jobs' copies beside it, with which it was last started. */
  linked: z.record(z.string(), z.number().int()),
  /** The run of its job that it belongs to; null: it is to run on and on. */
  run: z.number().int().nullable(),
  /** How its part of that run ended; kept where the machine goes, so that it is not done again. */
  outcome: z.enum(['completed', 'failed']).nullable(),
  /**
   * The copy that it came after, which went with its machine or had to leave it: its timeline begins with that one's end. Absent too where
   * there was no room at once: a later plan knows of nobody whose place it takes.
   */
  insteadOf: z.string().optional(),
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
