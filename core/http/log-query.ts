import { z } from 'zod';

const flag = z
  .enum(['', '0', '1', 'true', 'false'])
  .default('0')
  .transform((text) => text === '' || text === '1' || text === 'true');
const count = z
  .string()
  .regex(/^\d{1,15}$/, 'a whole number')
  .transform(Number);

/** The query of `/logs/:task`, on a machine sitter and on a cluster sitter. */
export const logQuery = z.strictObject({
  stream: z.enum(['stdout', 'stderr']).default('stdout'),
  /** The number of a run; absent: the newest. */
  run: count.optional(),
  /** Only the last so many lines. */
  tail: count.optional(),
  /** Byte to begin at; wins over `tail`. */
  offset: count.optional(),
  follow: flag,
});
export type LogQuery = z.infer<typeof logQuery>;

/** On a cluster sitter: which copy, where the job has several. */
export const clusterLogQuery = logQuery.extend({ machine: z.string().optional(), copy: z.string().optional() });
