import { z } from 'zod';

export const config = z.strictObject({
  /** Where cgroup v2 is mounted. */
  mount: z.string().startsWith('/', 'expected an absolute path').default('/sys/fs/cgroup'),
  /** The group under which ours are made; absent: found by itself. */
  root: z.string().startsWith('/', 'expected the absolute path of a group').optional(),
});
export type Config = z.infer<typeof config>;
