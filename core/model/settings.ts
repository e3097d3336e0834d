import { z } from 'zod';

const seconds = z.number().min(0);

/** `cerebro.yaml`: strict, every key with its default. docs/settings.md is made from the same list. */
export const settings = z.strictObject({
  /** Where everything is kept that has to survive a restart. */
  data_dir: z.string().min(1).default('.cerebro'),
  host: z.string().min(1).default('127.0.0.1'),
  /** 0: 30000 for a cluster sitter, 40000 for a machine sitter. */
  port: z.number().int().min(0).max(65_535).default(0),
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
});
export type Settings = z.infer<typeof settings>;

/** What `settings/runtime` in the store overrides while the cluster runs. */
export const runtimeSettings = z.object({
  maxIdlePerZone: z.record(z.string(), z.number().int()),
});
export type RuntimeSettings = z.infer<typeof runtimeSettings>;
