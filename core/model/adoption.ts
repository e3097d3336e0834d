import { z } from 'zod';
import { taskDefinition } from './task.ts';

/** As much of a task's own file (`task.json`) on a machine as says what the task is. */
export const foundTaskFile = z.object({ definition: taskDefinition });

/** A task on a machine that is, or would be, adopted. */
export const foundTaskView = z.object({
  task: z.string(),
  machine: z.string(),
  job: z.string(),
  version: z.number(),
  /** What becomes of it, in a sentence. */
  becomes: z.string(),
});
export type FoundTaskView = z.infer<typeof foundTaskView>;

/** A machine that bears the tag of a cluster, and that no record of this one knows. */
export const foundMachineView = z.object({
  machine: z.string(),
  /** The provider's own name for it. */
  ref: z.string(),
  cluster: z.string(),
  zone: z.string(),
  type: z.string(),
  state: z.string(),
  address: z.string().nullable(),
  tasks: z.array(foundTaskView),
  /** Why it cannot be adopted now; null: it can. */
  problem: z.string().nullable(),
});
export type FoundMachineView = z.infer<typeof foundMachineView>;

/** What there is to adopt, or what was adopted. */
export const adoptionView = z.object({
  dryRun: z.boolean(),
  /** The cluster whose machines these are; null: there are none, or those of several. */
  cluster: z.string().nullable(),
  machines: z.array(foundMachineView),
  /** Tasks on machines that were adopted before, which are nobody's yet. */
  left: z.array(foundTaskView),
  /** Providers, regions and hosts that could not be looked at, one sentence each. */
  problems: z.array(z.string()),
});
export type AdoptionView = z.infer<typeof adoptionView>;
