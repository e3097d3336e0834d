import { z } from 'zod';

export const config = z
  .strictObject({
    /** Where alerts are posted. One that holds a secret (as Slack's do) belongs into a file or the environment. */
    url: z.url({ protocol: /^https?$/ }).optional(),
    /** A file that holds the address, readable by the daemon's user alone. */
    url_file: z.string().min(1).optional(),
    /** The environment variable that holds it. */
    url_env: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of an environment variable')
      .optional(),
    /** json: `{"notices": [...]}` as in the README; slack: one message text, which Slack, Mattermost and Discord (/slack) take. */
    form: z.enum(['json', 'slack']).default('json'),
    /** Seconds for an answer. */
    timeout: z.number().positive().max(300).default(10),
  })
  .refine(
    ({ url, url_file, url_env }) => [url, url_file, url_env].filter((way) => way !== undefined).length === 1,
    'expected one of "url", "url_file" and "url_env"',
  );
export type Config = z.infer<typeof config>;
