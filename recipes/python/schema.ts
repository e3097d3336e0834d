import { z } from 'zod';

export const config = z.strictObject({
  /** Program of a Python from 3.9 on. */
  python: z.string().min(1).default('python3'),
  /** Folders that dotted names are looked for in, before the recipe path. */
  path: z.array(z.string().min(1)).default([]),
});
export type Config = z.infer<typeof config>;
