import { z } from 'zod';

/** What a person may call a task or a job: printable, without `/`, not a name that a file system gives a meaning. */
export const taskName = z
  .string()
  .min(1, 'a name may not be empty')
  .max(128, 'a name has at most 128 characters')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is being refused
  .regex(/^[^/\u0000-\u001f\u007f]+$/, 'a name is printable text without "/"')
  .refine((name) => name === name.trim(), 'a name may not begin or end with a space')
  .refine((name) => name !== '.' && name !== '..', 'a name may not be "." or ".."');

const seconds = z.number().positive('expected seconds, more than 0');
const cores = z.number().positive('expected cores, more than 0 (.5 is half of one core)').max(4096);
const megabytes = z
  .number()
  .positive('expected MB, more than 0')
  .max(1024 * 1024 * 64);

export const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGKILL'] as const;

const backoff = z.strictObject({
  /** Seconds before the first restart. */
  first: z.number().min(0).default(0),
  /** Seconds before the second restart; each later one waits `factor` times longer, up to `max`. */
  // biome-ignore lint/suspicious/noThenProperty: the key of the job file, a number that nobody awaits
  then: z.number().min(0).default(1),
  factor: z.number().min(1).default(2),
  max: z.number().min(0).default(300),
  /** A run that lived this many seconds sets the counter back. */
  reset_after: z.number().min(0).default(60),
});
export type Backoff = z.infer<typeof backoff>;

/**
 * `task_configuration` of a job file, and the body of a task on a machine sitter.
 * The keys are the original's (see docs/job-file.md); defaults are filled in here and nowhere else.
 */
export const taskConfiguration = z.strictObject({
  name: taskName,
  command: z
    .string()
    .min(1, 'a command may not be empty')
    .max(65_536)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: NUL ends an argument
    .regex(/^[^\u0000]*$/, 'expected text without NUL'),
  cpu: cores.optional(),
  mem: megabytes.optional(),
  time_limit: seconds.optional(),
  ensure_alive: z.boolean().default(false),
  restart: z.boolean().default(false),
  max_restarts: z.number().int().min(-1).default(-1),
  allow_exit: z.boolean().default(false),
  auto_start: z.boolean().default(false),
  uid: z
    .union([z.number().int().min(0), z.string().regex(/^[a-z_][a-z0-9_-]*\$?$/, 'expected a user name or number')])
    .optional(),
  stdout_location: z.string().min(1).optional(),
  stderr_location: z.string().min(1).optional(),
  http_monitoring: z.boolean().default(false),
  http_monitoring_port: z.number().int().min(1).max(65_535).default(8080),
  poll_interval: z.number().min(0.02).max(60).default(0.1),
  env: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected a name of letters, digits and _'),
      // biome-ignore lint/suspicious/noControlCharactersInRegex: NUL cannot stand in an environment
      z.string().regex(/^[^\u0000]*$/, 'expected text without NUL'),
    )
    .default({}),
  cwd: z.string().startsWith('/', 'expected an absolute path').default('/'),
  stop_signal: z.enum(SIGNALS).default('SIGTERM'),
  stop_timeout: z.number().min(0).max(86_400).default(10),
  backoff: backoff.default(() => backoff.parse({})),
  logs: z.strictObject({ keep_runs: z.number().int().min(1).max(1000).default(10) }).default({ keep_runs: 10 }),
});
export type TaskConfiguration = z.infer<typeof taskConfiguration>;

/** What a machine sitter is told to run. `id` is the copy's id in a cluster, the task's name on a machine of its own. */
export const taskDefinition = z.strictObject({
  id: taskName,
  job: taskName,
  version: z.number().int().min(0),
  configuration: taskConfiguration,
});
export type TaskDefinition = z.infer<typeof taskDefinition>;

export const taskPhase = z.enum(['stopped', 'starting', 'running', 'stopping', 'backoff', 'exited', 'failed']);
export type TaskPhase = z.infer<typeof taskPhase>;

export const endReason = z.enum(['exit', 'signal', 'cpu', 'mem', 'time', 'user', 'deploy', 'spawn', 'shim', 'reboot']);
export type EndReason = z.infer<typeof endReason>;

/** The post-mortem of one run. Times are ISO, memory is bytes, cpu is seconds. */
export const runEnd = z.object({
  run: z.number().int(),
  reason: endReason,
  sentence: z.string(),
  code: z.number().int().nullable(),
  signal: z.string().nullable(),
  startedAt: z.string(),
  endedAt: z.string(),
  peakMemBytes: z.number(),
  cpuSeconds: z.number(),
  restarts: z.number().int(),
  lastLines: z.array(z.string()),
});
export type RunEnd = z.infer<typeof runEnd>;

/** `hard`: the kernel holds it. `polled`: sampled every `poll_interval`, and what is over is ended. `measured`: shown, not held. */
export const limitHold = z.enum(['hard', 'polled', 'measured']);
export const limitHolds = z.object({ cpu: limitHold, mem: limitHold });
export type LimitHolds = z.infer<typeof limitHolds>;

export const taskUsage = z.object({ cpu: z.number(), memBytes: z.number(), processes: z.number().int() });
/** Cores in use since the last sample, resident bytes and processes of the whole tree. */
export type TaskUsage = z.infer<typeof taskUsage>;

export const taskStatus = z.object({
  id: z.string(),
  job: z.string(),
  name: z.string(),
  version: z.number().int(),
  phase: taskPhase,
  /** Why it is in this phase, for people. */
  reason: z.string(),
  since: z.string(),
  pid: z.number().int().nullable(),
  run: z.number().int(),
  startedAt: z.string().nullable(),
  restarts: z.number().int(),
  /** It has ended again and again lately, and the present run is too young to trust. */
  flapping: z.boolean(),
  nextStartAt: z.string().nullable(),
  revision: z.number().int(),
  limits: z.object({
    cpu: z.number().nullable(),
    memBytes: z.number().nullable(),
    enforcer: z.string(),
    holds: limitHolds,
  }),
  usage: taskUsage.nullable(),
  lastEnd: runEnd.nullable(),
});
export type TaskStatus = z.infer<typeof taskStatus>;
