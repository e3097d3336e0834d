import { z } from 'zod';
import { copyState } from './copy.ts';
import { clusterEvent } from './event.ts';
import { taskStatus } from './task.ts';

/** What people and programs are shown of a cluster: the API's answers, the pages' data and what the command line reads, in one shape. */

export const zoneCounts = z.object({
  wanted: z.number(),
  ready: z.number(),
  starting: z.number(),
  failing: z.number(),
});
export type ZoneCounts = z.infer<typeof zoneCounts>;

export const jobView = z.object({
  name: z.string(),
  version: z.number(),
  state: z.enum(['active', 'removing']),
  zones: z.record(z.string(), zoneCounts),
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
  version: z.number(),
  /** Cores and MB that it reserves. */
  cpu: z.number(),
  mem: z.number(),
  createdAt: z.string(),
  task: taskStatus.nullable(),
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
  /** What the next plan will do, in sentences. */
  plan: z.array(z.string()),
});
export type ApplyResult = z.infer<typeof applyResult>;

export const clusterStatus = z.object({
  clusterId: z.string(),
  version: z.string(),
  startedAt: z.string(),
  epoch: z.number(),
  jobs: z.number(),
  machines: z.number(),
  copies: z.partialRecord(copyState, z.number()),
  maxIdlePerZone: z.record(z.string(), z.number()),
  /** What keeps Cerebro from doing what was asked, one sentence each. */
  attention: z.array(z.string()),
});
export type ClusterStatus = z.infer<typeof clusterStatus>;

export const pluginView = z.object({ id: z.string(), point: z.string(), use: z.string(), state: z.string() });
export type PluginView = z.infer<typeof pluginView>;

export const explanation = z.object({
  about: z.string(),
  sentences: z.array(z.string()),
  timeline: z.array(clusterEvent),
});
export type Explanation = z.infer<typeof explanation>;
