import { z } from 'zod';
import { healthState } from './health-check.ts';
import { secretName, secretValue } from './secret.ts';
import { taskConfiguration, taskName } from './task-configuration.ts';

/** What a machine sitter is told to run. `id` is the copy's id in a cluster, the task's name on a machine of its own. */
export const taskDefinition = z.strictObject({
  id: taskName,
  job: taskName,
  version: z.number().int().min(0),
  /** A definition that differs only in this asks for a restart. */
  generation: z.number().int().min(0).default(0),
  /**
   * Seconds without a word from the cluster sitter after which the machine ends the task by itself (`singleton`); null: it runs on.
   */
  leash: z.number().positive().nullable().default(null),
  configuration: taskConfiguration,
  /** The values of the secrets that its environment names. Given, kept for restarts, and never shown. */
  secrets: z.record(secretName, secretValue).optional(),
});
export type TaskDefinition = z.infer<typeof taskDefinition>;

/** What may be shown of a definition. */
export function withoutSecrets({ secrets: _secrets, ...definition }: TaskDefinition): TaskDefinition {
  return definition;
}

export const taskPhase = z.enum(['stopped', 'starting', 'running', 'stopping', 'backoff', 'exited', 'failed']);
export type TaskPhase = z.infer<typeof taskPhase>;

export const endReason = z.enum([
  'exit',
  'signal',
  'cpu',
  'mem',
  'pids',
  'time',
  'health',
  'user',
  'deploy',
  'leash',
  'spawn',
  'shim',
  'reboot',
]);
export type EndReason = z.infer<typeof endReason>;
/** The limits that a run can be ended for. */
export type LimitName = Extract<EndReason, 'cpu' | 'mem' | 'pids' | 'time'>;

/** The post-mortem of one run. Times are ISO, memory is bytes, cpu is seconds. */
export const runEnd = z.object({
  run: z.number().int(),
  reason: endReason,
  sentence: z.string(),
  code: z.number().int().nullable(),
  signal: z.string().nullable(),
  startedAt: z.string(),
  endedAt: z.string(),
  /** Who held the limits. */
  enforcer: z.string().default(''),
  memLimitBytes: z.number().nullable().default(null),
  peakMemBytes: z.number(),
  cpuSeconds: z.number(),
  /** How long the kernel kept it from running because of its cpu limit. */
  throttledSeconds: z.number().default(0),
  /** Processes of the run that the kernel killed for want of memory. */
  oomKills: z.number().int().default(0),
  restarts: z.number().int(),
  lastLines: z.array(z.string()),
});
export type RunEnd = z.infer<typeof runEnd>;

/**
 * `hard`: the kernel holds it. `polled`: sampled every `poll_interval`, and what is over is ended. `measured`: shown, not held.
 * `none`: neither.
 */
export const limitHold = z.enum(['hard', 'polled', 'measured', 'none']);
export type LimitHold = z.infer<typeof limitHold>;
export const limitHolds = z.object({ cpu: limitHold, mem: limitHold, pids: limitHold, io: limitHold });
export type LimitHolds = z.infer<typeof limitHolds>;

export const taskUsage = z.object({
  cpu: z.number(),
  memBytes: z.number(),
  processes: z.number().int(),
  throttledSeconds: z.number().default(0),
  readBytes: z.number().nullable().default(null),
  writtenBytes: z.number().nullable().default(null),
});
/**
 * Cores in use since the last sample, bytes of memory and processes of the whole tree; throttled, read from disks and written to
 * them since the run began (null: not known here).
 */
export type TaskUsage = z.infer<typeof taskUsage>;

export const taskHealth = z.object({ state: healthState, sentence: z.string() });
export type TaskHealth = z.infer<typeof taskHealth>;

/** How a log is kept to its size, best first; `none`: nothing that would do it works in its folder. */
export const logMethod = z.enum(['collapse', 'punch', 'copytruncate', 'none']);
export type LogMethod = z.infer<typeof logMethod>;

/** What became of the newest run's logs, both streams together. */
export const logCondition = z.object({
  method: logMethod,
  /** Old lines that made room for new ones. */
  trimmedBytes: z.number(),
  /** What was lost that should have been kept: between copy and cut where only copytruncate works. */
  lostBytes: z.number(),
  /** Since when the disk under them has been full, so that what the task writes is refused by the kernel. */
  diskFullSince: z.string().nullable(),
});
export type LogCondition = z.infer<typeof logCondition>;

export const taskStatus = z.object({
  id: z.string(),
  job: z.string(),
  name: z.string(),
  version: z.number().int(),
  generation: z.number().int().default(0),
  phase: taskPhase,
  /** Why it is in this phase, for people. */
  reason: z.string(),
  since: z.string(),
  pid: z.number().int().nullable(),
  run: z.number().int(),
  startedAt: z.string().nullable(),
  restarts: z.number().int(),
  /** It has ended again and again lately, and the present run is too young to trust. */
  flapping: z.boolean(),
  nextStartAt: z.string().nullable(),
  revision: z.number().int(),
  limits: z.object({
    /** Cores. */
    cpu: z.number().nullable(),
    memBytes: z.number().nullable(),
    pids: z.number().nullable().default(null),
    enforcer: z.string(),
    holds: limitHolds,
  }),
  usage: taskUsage.nullable(),
  /** Limits that it comes near to now, one sentence each. */
  warnings: z.array(z.string()).default([]),
  /** null: it is not asked, or does not run. */
  health: taskHealth.nullable().default(null),
  logs: logCondition.nullable().default(null),
  lastEnd: runEnd.nullable(),
});
export type TaskStatus = z.infer<typeof taskStatus>;
