import { z } from 'zod';
import { dnsBasename } from './dns-name.ts';
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
    })
    .default({ max_parallel: 1, min_healthy: 10 }),
  place: z.strictObject({ spread: z.enum(['soft', 'none']).default('soft') }).default({ spread: 'soft' }),
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

/** What one copy reserves on its machine: cpu = the task's or 1; mem = the larger of layout and task, or 128. */
export function reservationOf(spec: JobSpec, zone: string): Reservation {
  const task = spec.task_configuration;
  const mem = Math.max(spec.deployment_layout[zone]?.mem ?? 0, task.mem ?? 0);
  return { cpu: task.cpu ?? 1, mem: mem > 0 ? mem : 128 };
}

/** A job as it stands in the store. */
export const jobRecord = z.object({
  name: z.string(),
  /** The file-name-safe form of the name, unique in the cluster; copies are called `SLUG.SERIAL`. */
  slug: z.string(),
  version: z.number().int(),
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
  createdAt: z.string(),
});
export type JobVersion = z.infer<typeof jobVersion>;

/**
 * The part of a job that a copy runs with, as a string to compare: when it differs, copies are rolled;
 * when only layout, dns, update, place or persistence differ, nothing restarts.
 */
export function runKey(spec: JobSpec): string {
  const { task_configuration, deployment_recipe, recipe_options, version } = spec;
  return canonical({ task_configuration, deployment_recipe, recipe_options, version });
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
