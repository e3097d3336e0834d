import { z } from 'zod';

export const config = z.strictObject({
  /** Ids of the only hosted zones to be written; absent: every public one that the credentials see. A private one must be listed. */
  hosted_zones: z
    .array(z.string().regex(/^Z[A-Z0-9]+$/, 'the id of a hosted zone, such as Z1D633PJN98FT9'))
    .min(1)
    .optional(),
  /** A profile of the AWS configuration files; absent: what the SDK finds by itself. */
  profile: z.string().min(1).optional(),
  /** Route 53 is one service for all regions; requests are signed for this one. */
  region: z.string().min(1).optional(),
  /** Seconds for one call with all of its tries. */
  timeout: z.number().positive().max(300).default(30),
  /** Seconds until a change must have reached all of Amazon's servers. */
  sync_deadline: z.number().positive().max(3600).default(120),
});
export type Config = z.infer<typeof config>;
