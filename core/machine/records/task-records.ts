import { z } from 'zod';
import type { TaskLife } from '../../decide/task/task-life.ts';
import { endReason, runEnd, taskDefinition, taskPhase } from '../../model/task.ts';

const taskLife: z.ZodType<TaskLife> = z.object({
  phase: taskPhase,
  reason: z.string(),
  since: z.number(),
  wanted: z.enum(['run', 'stop']),
  run: z.number().int(),
  startedAt: z.number().nullable(),
  restarts: z.number().int(),
  streak: z.number().int(),
  totalRestarts: z.number().int(),
  nextStartAt: z.number().nullable(),
  suspended: z.boolean(),
  ending: z.object({ reason: endReason, sentence: z.string() }).nullable(),
});

const processId = z.object({ pid: z.number().int(), startTime: z.number() });

/** What is known of a run when it starts; where its logs are is fixed here, whatever the configuration says later. */
export const runRecord = z.object({
  run: z.number().int(),
  marker: z.string(),
  bootId: z.string(),
  startedAt: z.number(),
  /** The same in seconds since boot, which no clock that is set can move. */
  startedUptime: z.number(),
  stdout: z.string(),
  stderr: z.string(),
  /** Who built its walls, and what finds them again. */
  enforcer: z.string(),
  handle: z.string().nullable(),
  shim: processId,
  leader: processId,
});
export type RunRecord = z.infer<typeof runRecord>;

/** `task.json`. */
export const taskFile = z.object({
  definition: taskDefinition,
  revision: z.number().int(),
  life: taskLife,
  /** Ends whose post-mortems are still being written: an end must not be on disk without its exit code. */
  ends: z.array(runEnd).default([]),
});
export type TaskFile = z.infer<typeof taskFile>;
