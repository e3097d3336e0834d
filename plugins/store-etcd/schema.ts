import { z } from 'zod';

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);

const endpoint = z
  .url({ protocol: /^https?$/ })
  .refine((url) => new URL(url).pathname === '/' && new URL(url).search === '', 'expected no path after the port')
  .refine((url) => new URL(url).username === '', 'expected no user and no password here; they have keys of their own')
  // Machine tokens and the cluster's own authority go over it.
  .refine(
    (url) => url.startsWith('https:') || LOOPBACK.has(new URL(url).hostname),
    'must begin with https:// (http:// is for 127.0.0.1 alone)',
  );

export const config = z
  .strictObject({
    /** The members of the etcd cluster; the next is asked when one does not answer. */
    endpoints: z.array(endpoint).min(1).max(16).default(['http://127.0.0.1:2379']),
    /** Every key begins with it; clusters that share an etcd have different ones. */
    prefix: z
      .string()
      .regex(/^[\x21-\x7e]*\/$/, 'expected printable characters, with a slash at the end')
      .default('cerebro/'),
    /** PEM files, read when the store starts. */
    tls: z
      .strictObject({
        /** The authority of etcd's certificates; absent: those that Node trusts. */
        ca_file: z.string().min(1).optional(),
        /** Our own certificate and its key, where etcd wants one (`--client-cert-auth`). */
        cert_file: z.string().min(1).optional(),
        key_file: z.string().min(1).optional(),
      })
      .refine(
        ({ cert_file, key_file }) => (cert_file === undefined) === (key_file === undefined),
        'needs both cert_file and key_file, or neither',
      )
      .optional(),
    user: z.string().min(1).optional(),
    /** A file with the user's password. */
    password_file: z.string().min(1).optional(),
    /** The environment variable that holds it. */
    password_env: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of an environment variable')
      .optional(),
    /**
     * Seconds that the lead is held without a word to etcd; another cluster sitter takes over after that. It is prolonged after a
     * third of it, and 5 s have to be left for what costs money.
     */
    lease: z.number().int().min(8).max(600).default(10),
    /** Seconds for one call, with the tries at all endpoints. */
    timeout: z.number().min(1).max(120).default(10),
  })
  .refine(
    ({ user, password_file, password_env }) =>
      [password_file, password_env].filter((way) => way !== undefined).length === (user === undefined ? 0 : 1),
    'a user needs one of "password_file" and "password_env"; without a user there is neither',
  )
  .refine(
    ({ endpoints, tls }) => tls === undefined || endpoints.every((url) => url.startsWith('https:')),
    'with "tls", every endpoint begins with https://',
  );
export type Config = z.infer<typeof config>;
