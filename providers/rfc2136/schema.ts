import { z } from 'zod';

const server = z
  .strictObject({
    /** Address or name of the zone's primary server. */
    host: z.string().min(1),
    port: z.number().int().min(1).max(65_535).default(53),
    /** A file with the TSIG key, as `tsig-keygen` writes it, or one line `algorithm:name:secret`. */
    key_file: z.string().min(1).optional(),
    /** The environment variable that holds the same. */
    key_env: z.string().min(1).optional(),
    /** Only these zones are written; absent: every zone that the server answers for. */
    zones: z
      .array(z.string().regex(/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/, 'a zone in lower case, without the final dot'))
      .min(1)
      .optional(),
    /** `udp` goes over to TCP by itself where a message is large. */
    transport: z.enum(['udp', 'tcp']).default('udp'),
    /** The most values at one name; 100 is what BIND allows (`max-records-per-type`). */
    max_values: z.number().int().min(1).max(1500).default(100),
    /** Seconds for an answer; by UDP it is asked three times in it. */
    timeout: z.number().positive().max(60).default(6),
  })
  .refine((value) => (value.key_file === undefined) !== (value.key_env === undefined), {
    message: 'needs either key_file or key_env: where the TSIG key is',
  });
export type ServerConfig = z.infer<typeof server>;

export const config = z.strictObject({
  /** Of those that have a zone for a name, the one with the longest keeps it; of equals, the first. */
  servers: z.array(server).min(1),
});
export type Config = z.infer<typeof config>;
