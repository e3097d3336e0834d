import { z } from 'zod';

export const config = z.strictObject({
  /** The program and its arguments; no shell is between. It reads `{"notices": [...]}` from its standard input. */
  command: z.array(z.string()).min(1, 'expected a program and its arguments'),
  /** Seconds until it is killed. */
  timeout: z.number().positive().max(600).default(30),
});
export type Config = z.infer<typeof config>;
