import { z } from 'zod';
import { sshAccess, sshOverride } from '../remotes/ssh-target.ts';

const name = z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'a name is lower-case letters, digits and dashes, like rack1');

const host = z.strictObject({
  /** Unique in its zone. */
  name,
  address: z.string().min(1),
  /** Cores and MB that it offers to copies. */
  cpu: z.number().positive(),
  mem: z.number().positive(),
  labels: z.record(z.string().min(1), z.string()).default({}),
  /** What differs from the zone's access. */
  access: sshOverride.default({}),
});

const zone = z.strictObject({
  /** What differs from the access of all. */
  access: sshOverride.default({}),
  hosts: z
    .array(host)
    .min(1)
    .refine((hosts) => new Set(hosts.map((entry) => entry.name)).size === hosts.length, 'two hosts have the same name'),
});

/** Neither somebody's home, nor a folder that a whole host has in common, nor a way out of one. */
function isOwnFolder(path: string): boolean {
  const parts = path.split('/').filter((part) => part !== '');
  if (parts.some((part) => part === '.' || part === '..') || path.startsWith('~')) return false;
  return parts.length > (path.startsWith('/') ? 1 : 0);
}

export const config = z.strictObject({
  access: sshAccess.prefault({}),
  /** Zones are called ssh-NAME. */
  zones: z.record(z.string(), zone).superRefine((zones, context) => {
    for (const key of Object.keys(zones))
      if (!name.safeParse(key).success)
        context.addIssue({
          code: 'custom',
          path: [key],
          message: 'a name is lower-case letters, digits and dashes, like rack1',
        });
  }),
  /** Where everything of ours lies on a host; relative to the user's home. */
  folder: z
    .string()
    .regex(/^[^\0\n]*[^/\0\n]$/)
    .refine(
      isOwnFolder,
      'name a folder of our own, like .cerebro-machine or /srv/cerebro: no ".", "..", "~" or top folder',
    )
    .default('.cerebro-machine'),
  /** false: nothing is done as root, where the user is not root. */
  sudo: z.boolean().default(true),
  /** Seconds between two looks at a machine. */
  look_every: z.number().positive().default(10),
  sitter: z
    .strictObject({
      /** A program that is on the hosts already, and its first arguments. Default: Cerebro and its Node are brought there. */
      command: z.array(z.string().min(1)).min(1).optional(),
      /** What it listens on. Default: all addresses of the host, where only mutual TLS is served to others; loopback where that is the address. */
      host: z.string().min(1).optional(),
      /** 0: 40000 for one that is brought, any that is free for a `command`. */
      port: z.number().int().min(0).max(65_535).default(0),
      /** plain: not by systemd, also where that is. */
      service: z.enum(['auto', 'plain']).default('auto'),
      /** Node's programs for other architectures than this host's, by Node's name of them. */
      runtimes: z.record(z.string(), z.string()).default({}),
    })
    .prefault({}),
});
export type Config = z.infer<typeof config>;
