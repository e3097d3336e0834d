import { z } from 'zod';

export const config = z.strictObject({
  /** Seconds between samples of tasks that have no limit to be held to, for the page. */
  idle_interval: z.number().min(0.1).max(60).default(2),
});
export type Config = z.infer<typeof config>;
