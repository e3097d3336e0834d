import { z } from 'zod';
import { byteSize } from './byte-size.ts';
import { healthCheck } from './health-check.ts';
import { secretRef } from './secret.ts';

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

const byteRate = byteSize.refine((bytes) => bytes >= 1, 'expected at least 1 byte a second');

/** Bytes a second of one disk; `device` is its file (`/dev/sda`) or its numbers (`8:0`). */
const ioLimit = z
  .strictObject({
    device: z.string().regex(/^(\/dev\/[^\s]+|\d+:\d+)$/, 'expected a device, like /dev/sda or 8:0'),
    rbps: byteRate.optional(),
    wbps: byteRate.optional(),
  })
  .refine(
    (limit) => limit.rbps !== undefined || limit.wbps !== undefined,
    'says neither rbps nor wbps: bytes a second',
  );
export type IoLimit = z.infer<typeof ioLimit>;

const taskLimits = z.strictObject({
  /** Processes and threads. Node alone takes 8; under 16 a program can hang without a word. */
  pids: z.number().int().min(16, 'expected at least 16 processes and threads').max(4_194_304).optional(),
  io: z.preprocess((io) => (io === undefined || Array.isArray(io) ? io : [io]), z.array(ioLimit).max(32).default([])),
  /** The share of `mem` from which on it is said that a task comes near its limit; 0: never. */
  mem_warn: z.number().min(0).max(1).default(0.9),
  /** Whether its memory may be moved to swap, and so be more than `mem`. */
  swap: z.boolean().default(false),
});

const onViolation = z.strictObject({
  /** throttle: the kernel holds it there (takes cgroup v2). restart: over it on average for 5 s, it is ended. warn: said so. */
  cpu: z.enum(['throttle', 'restart', 'warn']).default('throttle'),
  mem: z.literal('restart').default('restart'),
  time: z.literal('restart').default('restart'),
});

const logLimits = z.strictObject({
  /** Of each stream of a run; older lines go first. */
  max_bytes: byteSize.refine((bytes) => bytes >= 64 * 1024, 'expected at least 64KB').default(64 * 1024 * 1024),
  keep_runs: z.number().int().min(1).max(1000).default(10),
});

/** Variables that mean something to the shell itself, which cannot export them as they are: they reach a task by the arguments of env(1). */
export const SHELL_OWN = /^(IFS|OPTIND|OPTARG|PPID|PWD|OLDPWD|PS[124]|LINENO|ENV|_)$/;

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
      z.union(
        // biome-ignore lint/suspicious/noControlCharactersInRegex: NUL cannot stand in an environment
        [z.string().regex(/^[^\u0000]*$/), secretRef],
        'expected text without NUL (a number in quotes), or {secret: NAME}',
      ),
    )
    .superRefine((env, context) => {
      for (const [name, value] of Object.entries(env))
        if (typeof value !== 'string' && SHELL_OWN.test(name))
          context.addIssue({
            code: 'custom',
            path: [name],
            message: 'means something to the shell itself, and can be no secret',
          });
    })
    .default({}),
  cwd: z.string().startsWith('/', 'expected an absolute path').default('/'),
  stop_signal: z.enum(SIGNALS).default('SIGTERM'),
  stop_timeout: z.number().min(0).max(86_400).default(10),
  backoff: backoff.default(() => backoff.parse({})),
  health_check: healthCheck.optional(),
  limits: taskLimits.default(() => taskLimits.parse({})),
  on_violation: onViolation.default(() => onViolation.parse({})),
  logs: logLimits.default(() => logLimits.parse({})),
});
export type TaskConfiguration = z.infer<typeof taskConfiguration>;
