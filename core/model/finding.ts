import { z } from 'zod';

/** One thing that was looked at: `cerebro doctor` prints them. */
export const finding = z.object({
  about: z.string(),
  /** good: as it should be. worse: something works less well, and `advice` says what to change. bad: it cannot work at all. */
  grade: z.enum(['good', 'worse', 'bad']),
  found: z.string(),
  advice: z.string().nullable(),
});
export type Finding = z.infer<typeof finding>;
