import { z } from 'zod';

export const config = z.strictObject({
  /** The store's folder, in the data folder. */
  folder: z.string().min(1).default('store'),
});
export type Config = z.infer<typeof config>;
