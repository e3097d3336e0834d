import { z } from 'zod';
import { copyState } from './copy.ts';
import { clusterEvent } from './event.ts';
import { type JobRecord, type JobRun, jobRun } from './job.ts';
import { taskStatus } from './task.ts';

/** What people and programs are shown of a cluster: the API's answers, the pages' data and what the command line reads, in one shape. */

export const zoneCounts = z.object({
  wanted: z.number(),
  ready: z.number(),
  starting: z.number(),
  failing: z.number(),
});
export type ZoneCounts = z.infer<typeof zoneCounts>;

/** Times are ISO. */
export const rollOutView = z.object({
  to: z.number(),
  state: z.enum(['rolling', 'paused', 'failed']),
  startedAt: z.string(),
  promoted: z.boolean(),
  /** The version that had failed, where this is the way back from it. */
  revertOf: z.number().nullable(),
  sentence: z.string().nullable(),
});
export type RollOutView = z.infer<typeof rollOutView>;

export function rollOutViewOf({ rollout }: Pick<JobRecord, 'rollout'>): RollOutView | null {
  if (!rollout) return null;
  const { to, promoted, revertOf, failed, paused, startedAt } = rollout;
  const state = failed === null ? (paused ? 'paused' : 'rolling') : 'failed';
  return { to, state, startedAt: new Date(startedAt).toISOString(), promoted, revertOf, sentence: failed };
}

/** Times are ISO. */
export const jobRunView = jobRun.extend({
  due: z.string().nullable(),
  startedAt: z.string(),
  endedAt: z.string().nullable(),
});
export type JobRunView = z.infer<typeof jobRunView>;

export function jobRunViewOf(run: JobRun): JobRunView {
  const iso = (time: number | null): string | null => (time === null ? null : new Date(time).toISOString());
  return { ...run, due: iso(run.due), startedAt: new Date(run.startedAt).toISOString(), endedAt: iso(run.endedAt) };
}

export const jobView = z.object({
  name: z.string(),
  version: z.number(),
  state: z.enum(['active', 'removing']),
  zones: z.record(z.string(), zoneCounts),
  /** By a person: no copies until it is started again. */
  stopped: z.boolean(),
  rollout: rollOutView.nullable(),
  /** The version to go back to. */
  goodVersion: z.number().nullable(),
  /** When its schedule asks for it next (ISO), and the newest of its runs; null: there is none. */
  nextRun: z.string().nullable(),
  lastRun: jobRunView.nullable(),
  updatedAt: z.string(),
  linkedJob: z.string().nullable(),
});
export type JobView = z.infer<typeof jobView>;

const amount = z.object({ offered: z.number(), reserved: z.number(), used: z.number().nullable() });

export const machineView = z.object({
  id: z.string(),
  zone: z.string(),
  /** Its state, or `suspect` / `unreachable` where it should be ready and is not heard. */
  state: z.string(),
  reason: z.string(),
  address: z.string().nullable(),
  type: z.string(),
  cordoned: z.boolean(),
  /** Cores. */
  cpu: amount,
  /** MB. */
  mem: amount,
  since: z.string(),
  createdAt: z.string(),
  copies: z.array(z.object({ job: z.string(), copy: z.string(), state: copyState, version: z.number() })),
  /** How much is done (0 to 100) of what its reason speaks of, while it is on its way and that can be told. */
  percent: z.number().optional(),
});
export type MachineView = z.infer<typeof machineView>;

export const copyView = z.object({
  copy: z.string(),
  job: z.string(),
  zone: z.string(),
  machine: z.string(),
  state: copyState,
  /** One sentence: why it is in that state. */
  reason: z.string(),
  /** What comes next, in words that follow the reason; absent: it runs, or the reason has said it. */
  next: z.string().optional(),
  version: z.number(),
  /** Cores and MB that it reserves. */
  cpu: z.number(),
  mem: z.number(),
  createdAt: z.string(),
  task: taskStatus.nullable(),
  /** How much is done (0 to 100) of what its reason speaks of, while that can be told. */
  percent: z.number().optional(),
});
export type CopyView = z.infer<typeof copyView>;

export const jobChange = z.object({
  job: z.string(),
  change: z.enum(['created', 'updated', 'unchanged']),
  version: z.number(),
  /** Whether copies have to be restarted for it. */
  restarts: z.boolean(),
});
export type JobChange = z.infer<typeof jobChange>;

export const applyResult = z.object({
  dryRun: z.boolean(),
  changes: z.array(jobChange),
  /** What will be done, in sentences, if everything goes well. */
  plan: z.array(z.string()),
  /** What the machines cost an hour before and after; null: no price is known. */
  price: z.object({ before: z.number(), after: z.number() }).nullable(),
});
export type ApplyResult = z.infer<typeof applyResult>;

/** What would be done if a wish came true. */
export const forecast = applyResult.pick({ plan: true, price: true });
export type Forecast = z.infer<typeof forecast>;

export const clusterStatus = z.object({
  clusterId: z.string(),
  version: z.string(),
  startedAt: z.string(),
  epoch: z.number(),
  /** Whether this cluster sitter leads; one that stands by shows the same, and passes on what it is asked to do. */
  leads: z.boolean().default(true),
  /** Where the one that leads is reached by the others; null: there are no others, or it is not known. */
  leader: z.string().nullable().default(null),
  jobs: z.number(),
  machines: z.number(),
  copies: z.partialRecord(copyState, z.number()),
  maxIdlePerZone: z.record(z.string(), z.number()),
  /** What keeps Cerebro from doing what was asked, one sentence each. */
  attention: z.array(z.string()),
});
export type ClusterStatus = z.infer<typeof clusterStatus>;

/** How the calls to a plugin went since this daemon began. */
export const callHealth = z.object({
  done: z.number(),
  failed: z.number(),
  lastDone: z.object({ call: z.string(), at: z.string() }).nullable(),
  /** The last that failed, also where later ones went well. */
  lastFailed: z.object({ call: z.string(), at: z.string(), message: z.string() }).nullable(),
  /** The one that has waited longest for its answer. */
  waiting: z.object({ call: z.string(), since: z.string() }).nullable(),
});
export type CallHealth = z.infer<typeof callHealth>;

export const pluginView = z.object({
  id: z.string(),
  point: z.string(),
  use: z.string(),
  state: z.string(),
  /** Of plugins that reach out (machines, DNS, recipes, notices); null: this one does not. */
  calls: callHealth.nullable(),
  /** What keeps it from its work, in its own words. */
  says: z.array(z.string()),
});
export type PluginView = z.infer<typeof pluginView>;

export const explanation = z.object({
  about: z.string(),
  sentences: z.array(z.string()),
  timeline: z.array(clusterEvent),
});
export type Explanation = z.infer<typeof explanation>;
