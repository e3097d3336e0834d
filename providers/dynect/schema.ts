import { z } from 'zod';

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);

/** The password goes over it, so it is encrypted unless it never leaves this host. */
function isSafe(url: URL): boolean {
  return url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.has(url.hostname));
}

export const config = z
  .strictObject({
    customer_name: z.string().min(1),
    user_name: z.string().min(1),
    /** A file with the user's password. */
    password_file: z.string().min(1).optional(),
    /** The environment variable that holds it. */
    password_env: z.string().min(1).optional(),
    /** Only these zones are written; absent: every zone that the user sees. */
    zones: z
      .array(z.string().regex(/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/, 'a zone in lower case, without the final dot'))
      .min(1)
      .optional(),
    url: z
      .url()
      .refine((url) => isSafe(new URL(url)), 'must begin with https://')
      .refine((url) => new URL(url).pathname.endsWith('/REST/'), 'must end with /REST/')
      .default('https://api.dynect.net/REST/'),
    /** Seconds for one answer. */
    timeout: z.number().positive().max(120).default(30),
    /** Seconds for a whole batch, with its waits for the zone, for the account's rate limit and for its publication. */
    deadline: z.number().positive().max(3600).default(150),
  })
  .refine((value) => (value.password_file === undefined) !== (value.password_env === undefined), {
    message: "needs either password_file or password_env: where the user's password is",
  });
export type Config = z.infer<typeof config>;
