import { z } from 'zod';
import { sshAccess } from '../remotes/ssh-target.ts';

const architecture = z.enum(['x86_64', 'arm64']);
export type Architecture = z.infer<typeof architecture>;

/** `ami-…`, or the newest available image whose name matches. */
const image = z.union([
  z.string().regex(/^ami-[0-9a-f]+$/, 'an image is ami-… or {name, owner}'),
  z.strictObject({
    /** As in DescribeImages: `*` and `?` stand for anything. */
    name: z.string().min(1),
    /** An account number, or `amazon`, `self`. An image of anybody's could be anything, so there is no default. */
    owner: z.string().min(1),
  }),
]);
export type ImageChoice = z.infer<typeof image>;

const tagKey = z
  .string()
  .min(1)
  .max(128)
  .regex(/^(?!aws:)(?!cerebro:)/, 'aws: and cerebro: are not for tags of your own');

/** What can be said for all, for a region, or for a zone; the nearer wins, key by key. */
export const offer = z.strictObject({
  image: z.partialRecord(architecture, image).optional(),
  instance_types: z.array(z.string().regex(/^[a-z0-9-]+\.[a-z0-9-]+$/, 'an instance type is like t3.small')).optional(),
  /** MB of each machine that are kept from copies, for its system and its sitter. */
  reserve_mem: z.number().int().min(0).optional(),
  key_pair: z.string().min(1).optional(),
  security_groups: z.array(z.string().regex(/^sg-[0-9a-f]+$/, 'a security group is given by its id, sg-…')).optional(),
  subnet: z
    .string()
    .regex(/^subnet-[0-9a-f]+$/, 'a subnet is given by its id, subnet-…')
    .optional(),
  /** Name of an instance profile: the role that the machines have. */
  instance_profile: z.string().min(1).optional(),
  volume: z
    .strictObject({
      /** GiB. */
      size: z.number().int().min(1).default(16),
      type: z.enum(['gp2', 'gp3', 'io1', 'io2', 'standard']).default('gp3'),
      encrypted: z.boolean().default(false),
    })
    .optional(),
  /** never: on demand. prefer: spot while there is some, or else on demand. only: spot or nothing. */
  spot: z.enum(['never', 'prefer', 'only']).optional(),
  /** The most that an hour of spot may cost; absent: the price on demand. */
  spot_max_price: z.number().positive().optional(),
  address: z.enum(['public', 'private']).optional(),
  tags: z.record(tagKey, z.string().max(256)).optional(),
  /** Lines of a shell script that a machine runs once, as root, at its first boot. Readable on the machine: no secrets. */
  user_data: z.string().max(8000).optional(),
  /** How machines are logged in to. The public halves of the keys are put on them at birth, and their host keys are known from it. */
  ssh: sshAccess
    .omit({ host_keys: true })
    .extend({ user: z.string().min(1).default('admin') })
    .optional(),
  sitter_port: z.number().int().min(1).max(65_535).optional(),
});
export type Offer = z.infer<typeof offer>;

const region = offer.extend({
  /** Availability zones by their full names: `us-west-2a`. */
  zones: z
    .record(z.string().regex(/^[a-z]{2}(-[a-z0-9]+)+$/), offer)
    .refine((zones) => Object.keys(zones).length > 0, 'name one zone at least'),
});

export const config = offer.extend({
  regions: z.record(z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d+$/, 'a region is like us-west-2'), region),
  /** The SDK's own chain finds credentials where neither is given: environment, files, instance role. */
  profile: z.string().min(1).optional(),
  credentials: z
    .strictObject({
      access_key_id: z.string().min(1),
      secret_access_key: z.string().min(1),
      session_token: z.string().min(1).optional(),
    })
    .optional(),
  /** How a machine sitter is put onto machines that run. */
  sitter: z
    .strictObject({
      /** Where it is put; default /opt/cerebro for root, `cerebro` in the user's home for others. */
      folder: z.string().min(1).optional(),
      /** false: it runs as the SSH user, and can run tasks as nobody else. */
      as_root: z.boolean().default(true),
      /** Node's program for other architectures than this host's: `{"arm64": "/path/to/node"}`. */
      runtimes: z.record(z.string(), z.string().min(1)).default({}),
      /** auto: systemd where it runs. plain: a daemon that a small shell keeps alive. */
      service: z.enum(['auto', 'plain']).default('auto'),
    })
    .prefault({}),
  /** Another endpoint than Amazon's own, for what is compatible with EC2. */
  endpoint: z.url().optional(),
  /** USD per hour by instance type, before the shipped table; `REGION/TYPE` is for one region. */
  prices: z.record(z.string(), z.number().positive()).default({}),
  /** What an hour of spot is taken to cost, as a share of the price on demand, when sizes are compared. */
  spot_share: z.number().positive().max(1).default(0.4),
  api: z
    .strictObject({
      /** Seconds for one answer, and tries for one call. */
      timeout: z.number().positive().default(15),
      attempts: z.number().int().min(1).default(4),
      /** Calls a second to one region, while EC2 does not say that it is asked too much. */
      rate: z.number().positive().default(10),
      /** Seconds between looks at machines that boot or end, and for status checks and spot notices. */
      poll: z.number().positive().default(2),
      status_poll: z.number().positive().default(20),
      /** Seconds until what was made is taken to be visible everywhere. */
      settle: z.number().positive().default(60),
      /** Seconds for an instance to end. */
      end: z.number().positive().default(300),
    })
    .prefault({}),
});
export type Config = z.infer<typeof config>;
