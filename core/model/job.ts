import { z } from 'zod';
import { dnsBasename } from './dns-name.ts';
import { schedule } from './schedule.ts';
import { secretName } from './secret.ts';
import { taskConfiguration, taskName } from './task-configuration.ts';
import { zoneName } from './zone.ts';

const layoutEntry = z
  .strictObject({
    /** The original's "how many CPUs": that many copies, rounded up, unless `count` says it. */
    cpu: z
      .number()
      .min(0, 'expected cores, 0 or more')
      .max(10_000, 'expected at most 10000 copies in a zone')
      .optional(),
    /** The least MB reserved for each copy. */
    mem: z.number().min(0, 'expected MB, 0 or more').max(67_108_864).optional(),
    count: z
      .number()
      .int()
      .min(0, 'expected copies, 0 or more')
      .max(10_000, 'expected at most 10000 copies in a zone')
      .optional(),
    /** Zones, in this order, where its copies may run instead when it has no machine for them. They count here all the same. */
    fallback: z.array(zoneName).min(1).max(20).optional(),
  })
  .refine(
    (entry) => entry.cpu !== undefined || entry.count !== undefined,
    'says neither "count" nor "cpu": how many copies?',
  );
export type LayoutEntry = z.infer<typeof layoutEntry>;

/** One job of a job file, strict, with every default filled in. What each key means: docs/job-file.md. */
export const jobSpec = z.strictObject({
  task_configuration: taskConfiguration,
  deployment_layout: z.record(zoneName, layoutEntry).default({}),
  deployment_recipe: z.string().min(1).max(512).optional(),
  recipe_options: z.record(z.string(), z.json()).default({}),
  dns_basename: dnsBasename.optional(),
  persistent: z.boolean().default(true),
  linked_job: taskName.optional(),
  version: z.string().min(1).max(128).optional(),
  update: z
    .strictObject({
      /** How many copies may be down at once because of the update. */
      max_parallel: z.number().int().min(1).default(1),
      /** Seconds that a new copy must run before it counts as ready. */
      min_healthy: z.number().min(0).default(10),
      /** Seconds that a new copy may take to be ready, on a machine that is; over it the version has failed. */
      deadline: z.number().positive().default(300),
      /** Whether a version that failed is taken back, for the last one that was well. */
      auto_revert: z.boolean().default(true),
    })
    .default({ max_parallel: 1, min_healthy: 10, deadline: 300, auto_revert: true }),
  place: z
    .strictObject({
      /** soft: over machines where there is room. hard: never two on one machine. none: the tightest place. */
      spread: z.enum(['soft', 'hard', 'none']).default('soft'),
      /** The only sizes that its machines may have; empty: any. */
      instance_types: z.array(z.string().min(1).max(100)).max(100).default([]),
      /** Labels that its machines must bear. */
      machine: z.record(z.string().min(1).max(100), z.string().max(200)).default({}),
    })
    .default({ spread: 'soft', instance_types: [], machine: {} }),
  /** Who restarts with whom when A is linked to B: both ways, A when B is updated, or neither. */
  link_restart: z.enum(['both', 'follower', 'none']).default('both'),
  /** Never two at a time: a copy stops itself when its machine has been out of touch for `lost_after`. */
  singleton: z.boolean().default(false),
  schedule: schedule.optional(),
});
export type JobSpec = z.infer<typeof jobSpec>;

/** Copies wanted in a zone: `count`, or else `cpu` rounded up. */
export function copiesIn(entry: LayoutEntry): number {
  return entry.count ?? Math.ceil(entry.cpu ?? 0);
}

export interface Reservation {
  /** Cores. */
  cpu: number;
  /** MB of 1024*1024. */
  mem: number;
}

/** Whether it runs in runs that end, not all the time. */
export function runsByTurns(job: Pick<JobRecord, 'spec' | 'runs' | 'version'>): boolean {
  if (job.spec.schedule !== undefined) return true;
  // What was run by hand is not run once more when that run is over; a new version is begun like any other.
  return job.runs.some(({ state, version }) => state === 'running' || (state !== 'skipped' && version === job.version));
}

/** What one copy reserves on its machine: cpu = the task's or 1; mem = the larger of layout and task, or 128. */
export function reservationOf(spec: JobSpec, zone: string): Reservation {
  const task = spec.task_configuration;
  const mem = Math.max(spec.deployment_layout[zone]?.mem ?? 0, task.mem ?? 0);
  return { cpu: task.cpu ?? 1, mem: mem > 0 ? mem : 128 };
}

/**
 * The way of a job's copies to one version. It is there until that version is everywhere and well (the version is then the one to
 * go back to), or until a newer one takes its place.
 */
export const rollOut = z.object({
  to: z.number().int(),
  /** ms since the epoch. */
  startedAt: z.number(),
  /** By a person: no further copy is changed, and nothing is judged. */
  paused: z.boolean().default(false),
  /** By a person: the rest is changed at once, whatever `max_parallel` says. */
  promoted: z.boolean().default(false),
  /** The version that had failed, where this is the way back from it. */
  revertOf: z.number().int().nullable().default(null),
  /** Why it stands still. */
  failed: z.string().nullable().default(null),
});
export type RollOut = z.infer<typeof rollOut>;

/** One run of a job that is not meant to run on: begun by its schedule or by a person, over when its copies have exited. */
export const jobRun = z.object({
  id: z.number().int(),
  /** The time of the schedule that it is for (ms since the epoch); null: a person asked for it. */
  due: z.number().nullable(),
  by: z.string(),
  version: z.number().int(),
  state: z.enum(['running', 'completed', 'failed', 'stopped', 'skipped']),
  startedAt: z.number(),
  endedAt: z.number().nullable(),
  /** What came of it, for people. */
  sentence: z.string(),
});
export type JobRun = z.infer<typeof jobRun>;

/** A job as it stands in the store. */
export const jobRecord = z.object({
  name: z.string(),
  /** The file-name-safe form of the name, unique in the cluster; copies are called `SLUG.SERIAL`. */
  slug: z.string(),
  version: z.number().int(),
  /** The highest version that there ever was: going back does not use a number twice. */
  lastVersion: z.number().int(),
  /** The last version that was everywhere and well: the one to go back to. */
  goodVersion: z.number().int().nullable(),
  rollout: rollOut.nullable(),
  /** By a person: no copies until it is started again. */
  stopped: z.boolean(),
  /** How often a person has asked for a restart of all its copies. */
  restarts: z.number().int(),
  /** The newest last; the older ones go. */
  runs: z.array(jobRun),
  /** Until when its schedule has been looked at (ms since the epoch): what came due after it was missed. */
  scheduledUntil: z.number(),
  spec: jobSpec,
  /** The number that the next copy gets; never used twice. */
  nextSerial: z.number().int(),
  state: z.enum(['active', 'removing']),
  createdAt: z.string(),
  updatedAt: z.string(),
});
export type JobRecord = z.infer<typeof jobRecord>;

/** The configuration of one version, kept while copies run with it (and the last ten). */
export const jobVersion = z.object({
  job: z.string(),
  version: z.number().int(),
  spec: jobSpec,
  /** Which value of each secret that it names it runs with: going back goes back to those too. */
  secrets: z.record(secretName, z.number().int()).optional(),
  createdAt: z.string(),
  by: z.string(),
  /** What became of its roll-out; null: it goes on, or something newer took its place. */
  outcome: z.enum(['good', 'failed']).nullable(),
  /** Why it failed. */
  sentence: z.string().nullable(),
});
export type JobVersion = z.infer<typeof jobVersion>;

/**
 * The part of a job that a copy runs with, as a string to compare: when it differs, copies are rolled;
 * when only layout, dns, update, place or persistence differ, nothing restarts.
 */
export function runKey(spec: JobSpec): string {
  const { task_configuration, deployment_recipe, recipe_options, version, singleton } = spec;
  return canonical({ task_configuration, deployment_recipe, recipe_options, version, singleton });
}

/** JSON with sorted keys and without `undefined`, so that equal documents give equal text. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value)
    .filter(([, v]) => v !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${canonical(v)}`).join(',')}}`;
}
