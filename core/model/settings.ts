import { z } from 'zod';

const seconds = z.number().min(0);

/** `cerebro.yaml`: strict, every key with its default. docs/settings.md is made from the same list. */
export const settings = z.strictObject({
  /** Where everything is kept that has to survive a restart. */
  data_dir: z.string().min(1).default('.cerebro'),
  host: z.string().min(1).default('127.0.0.1'),
  /** 0: 30000 for a cluster sitter, 40000 for a machine sitter. */
  port: z.number().int().min(0).max(65_535).default(0),
  /** Connections at once; fewer where the system allows fewer than twice as many descriptors. */
  max_connections: z.number().int().min(16).max(1_000_000).default(4096),
  /** One of several cluster sitters: where the others reach it, directly, with no proxy between; absent: where it listens. */
  advertised_url: z
    .url({ protocol: /^https?$/ })
    .refine((url) => ['', '/'].includes(new URL(url).pathname), 'expected no path after the port')
    .optional(),
  log_level: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
  /** Which limit enforcer to use; `auto` is the first listed in plugins.json that works here. */
  enforcer: z.string().min(1).default('auto'),
  /** Ready machines without copies to keep in each zone; -1 never ends one. `cerebro updateidlelimit` changes it at run time. */
  max_idle_per_zone: z.number().int().min(-1).default(1),
  /** Seconds that a machine must have been without copies before it counts as idle. */
  idle_grace: seconds.default(30),
  /** Seconds without a word until a machine is suspect, unreachable, and (with no evidence of life) lost. */
  suspect_after: seconds.default(3),
  unreachable_after: seconds.default(10),
  lost_after: seconds.default(30),
  /** More than this share of a zone silent at once: observe and alert instead of replacing. */
  replace_brake: z.number().min(0).max(1).default(0.5),
  /** Seconds after its own start in which a cluster sitter replaces nothing on silence alone. */
  startup_grace: seconds.default(15),
  /** Seconds for a machine from its order until its sitter answers. */
  boot_deadline: seconds.default(300),
  /** The most machines in a zone (`*`: in each that is not named). */
  max_machines: z.record(z.string(), z.number().int().min(0)).default({}),
  /** The most that a zone's machines may cost an hour, in the currency of the provider's prices (`*`: each that is not named). */
  spend_ceiling: z.record(z.string(), z.number().min(0)).default({}),
  /** Seconds that the copies of a drained machine wait for their replacements to be ready; 0: without end. */
  drain_deadline: seconds.default(0),
  /** Seconds until an instance with our tag that no record knows is ended. */
  orphan_grace: seconds.default(60),
  /** Seconds for one recipe run. */
  recipe_deadline: seconds.default(600),
  /** Folders that relative recipe paths are looked for in, after the working directory. */
  recipe_path: z.array(z.string()).default([]),
  /** Seconds that a certificate between cluster sitter and machines is good; renewed when a third of it is left. Default: 90 days. */
  certificate_lifetime: z.number().min(60).default(7_776_000),
  /** The file with the key that secrets in the store are sealed with; absent: `secret.key` in the data folder. */
  secret_key_file: z.string().min(1).optional(),
  /** Seconds for which others may remember a name's addresses; a copy that is to end waits for so long when it has left them. */
  dns_ttl: z.number().int().min(1).max(86_400).default(30),
  /** `region`: names go by the zone without its letter (aws-us-west-2); `zone`: with it. */
  dns_scope: z.enum(['region', 'zone']).default('region'),
  /** Whether a pool's name may lead nowhere because no copy is ready; false keeps its last answer. */
  dns_allow_empty: z.boolean().default(false),
  /** Whether a TXT record beside each name says that it is this cluster's. */
  dns_owner_txt: z.boolean().default(true),
  /** Seconds between two looks at whether the names stand as they should. */
  dns_check_interval: z.number().min(1).default(300),
  /** Seconds beyond the TTL that a copy waits at most for its names to be gone, should the DNS provider not answer. */
  dns_removal_patience: seconds.default(30),
  /** Name servers (ADDRESS or ADDRESS:PORT) that are asked whether people's own CNAMEs are there; empty: this host's. */
  dns_resolvers: z.array(z.string().min(1)).default([]),
  /**
   * Machine sitter: the group of cgroup v2 in which tasks live, as an absolute path; empty: in the daemon's own. With one of
   * another service's, tasks outlive a restart of the daemon's service (docs/systemd.md).
   */
  tasks_group: z
    .string()
    .regex(/^(\/.*)?$/, 'expected the absolute path of a group')
    .default(''),
  /** Cores, and MB of 1024*1024, that a machine sitter offers to tasks; absent: all of the host's, less the reserve. */
  capacity_cpu: z.number().min(0).max(65_536).optional(),
  capacity_mem: z
    .number()
    .min(0)
    .max(1024 * 1024 * 1024)
    .optional(),
  /** Cores, and MB, that are left to the system and to the sitter where the capacity is not declared. */
  reserve_cpu: z.number().min(0).default(0),
  reserve_mem: z.number().min(0).default(128),
  /** The file of task definitions that a machine sitter loads at its start and with SIGHUP; absent: none is loaded. */
  tasks_file: z.string().min(1).optional(),
  /** Whether SIGTERM ends the tasks of a machine sitter too, to be started again by its next start. */
  stop_tasks: z.boolean().default(false),
});
export type Settings = z.infer<typeof settings>;

/** What `settings/runtime` in the store overrides while the cluster runs. */
export const runtimeSettings = z.object({
  maxIdlePerZone: z.record(z.string(), z.number().int()),
});
export type RuntimeSettings = z.infer<typeof runtimeSettings>;
