import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { parse } from 'yaml';
import { CerebroError, messageOf } from '../errors.ts';
import type { TaskStatus } from '../model/task.ts';
import { type TaskConfiguration, taskConfiguration } from '../model/task-configuration.ts';
import type { CliContext } from './context.ts';
import type { DaemonFlags } from './daemon.ts';

type Flags = Record<string, string | boolean | string[] | undefined>;

/** A flag for each key of `task_configuration`, and how its text becomes the key's value. */
const KEYS: readonly [flag: string, what: string, read: (text: string) => unknown][] = [
  ['--name <name>', 'what to call it (default: task)', String],
  ['--cpu <cores>', 'cores; .5 is half of one', numberOf],
  ['--mem <MB>', 'memory, in MB of 1024*1024', numberOf],
  ['--time-limit <seconds>', 'how long one run may live', numberOf],
  ['--max-restarts <count>', 'at most so often; -1 is without end', numberOf],
  ['--uid <user>', 'run it as this user, by number or name', (text) => (/^\d+$/.test(text) ? Number(text) : text)],
  ['--stdout-location <folder>', 'where standard output goes; "-" is here', String],
  ['--stderr-location <folder>', 'where standard error goes; "-" is here', String],
  ['--http-monitoring-port <port>', 'where the HTTP monitor listens, on loopback (default: 8080)', numberOf],
  ['--poll-interval <seconds>', 'for what has to be polled (default: 0.1)', numberOf],
  ['--cwd <folder>', 'where it runs (default: here)', String],
  ['--stop-signal <signal>', 'what asks it to end (default: SIGTERM, or the signal that came here)', String],
  ['--stop-timeout <seconds>', 'from then until it is killed (default: 10)', numberOf],
  ['--health-check <YAML>', "how to ask whether it is well, like '{http: :8080/health, interval: 5}'", yamlOf],
  ['--limits <YAML>', "like '{pids: 64, mem_warn: .8, io: {device: /dev/sda, wbps: 10MB}}'", yamlOf],
  ['--on-violation <YAML>', "like '{cpu: restart}': throttle, restart or warn", yamlOf],
  [
    '--backoff <YAML>',
    "pauses between restarts, like '{first: 0, then: 1, factor: 2, max: 300, reset_after: 60}'",
    yamlOf,
  ],
  ['--logs <YAML>', "sizes where a location is a folder, like '{max_bytes: 64MB, keep_runs: 10}'", yamlOf],
];

const SWITCHES: readonly [flag: string, what: string][] = [
  ['--ensure-alive', 'start it again whenever it ends'],
  ['--restart', 'start it again after a limit ended it'],
  ['--http-monitoring', 'serve figures, logs and actions over HTTP'],
];

/** `cerebro task`: one process in the foreground, held to its limits. Ends with the command's exit code, 128+n for a signal. */
export function task(program: Command, context: CliContext): void {
  const command = program
    .command('task')
    .description('run one process and hold it to its limits (the bin "tasksitter")')
    .requiredOption('--command <line>', 'what to run, by /bin/bash -c');
  for (const [flag, what] of [...KEYS, ...SWITCHES]) command.option(flag, what);
  command
    .option('--env <NAME=VALUE>', 'a variable of its environment; may be given several times', collect, [])
    .option('--keep-http-running', 'go on serving HTTP when the task has ended, until a signal comes')
    .option('--disable-stat-collection', 'measure nothing that no limit asks for')
    .option('--enforcer <name>', 'who holds the limits: cgroup2, proc, or the first of them that works', 'auto')
    .action(async (flags: Flags) => {
      const folder = mkdtempSync(join(tmpdir(), 'cerebro-task-'));
      try {
        const { plugins } = program.opts<DaemonFlags>();
        context.exitWith(await runInForeground(folder, configurationOf(flags), { flags, plugins }, context));
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
}

async function runInForeground(
  folder: string,
  configuration: TaskConfiguration,
  { flags, plugins }: { flags: Flags; plugins: string | undefined },
  context: CliContext,
): Promise<number> {
  const { createTaskHarness } = await import('../engine/create-task-harness.ts');
  const say = (line: string): void => context.err(`cerebro: ${line}`);
  const { sitter, monitor, stop } = await createTaskHarness({
    folder,
    configuration,
    pluginsFile: plugins,
    enforcer: String(flags.enforcer),
    collectStats: flags.disableStatCollection !== true,
    token: process.env.CEREBRO_TOKEN,
    say,
  });
  let asked = 0;
  let interrupted = (): void => undefined;
  const interruption = new Promise<void>((resolve) => {
    interrupted = resolve;
  });
  const off = context.onSignal((signal) => {
    if (signal !== 'SIGINT' && signal !== 'SIGTERM') return sitter.signal(signal);
    asked += 1;
    interrupted();
    // Who insists means it.
    if (asked > 1) return sitter.kill();
    sitter.stopWith(flags.stopSignal === undefined ? signal : configuration.stop_signal, `${signal} came`);
  });
  try {
    // It came while there was nothing yet to hand it on to.
    if (context.interrupted.aborted) return 128 + constants.signals.SIGTERM;
    if (monitor) say(`HTTP monitor on ${monitor.url}${monitor.tokenFile ? `, its token in ${monitor.tokenFile}` : ''}`);
    const { limits } = sitter.status();
    if (
      configuration.cpu !== undefined &&
      limits.holds.cpu === 'measured' &&
      configuration.on_violation.cpu === 'throttle'
    )
      say(
        `cpu is only measured here, not held (limits are held by ${limits.enforcer}; "cerebro doctor" says what is missing)`,
      );
    sitter.dispatch({ kind: 'start', why: 'started by hand' });
    await sitter.atRest();
    const code = exitCodeOf(sitter.status());
    if (monitor && flags.keepHttpRunning === true && asked === 0) await interruption;
    return code;
  } finally {
    off();
    await stop();
  }
}

function exitCodeOf({ lastEnd }: TaskStatus): number {
  if (lastEnd?.signal) return 128 + (constants.signals[lastEnd.signal as NodeJS.Signals] ?? 0);
  return lastEnd?.code ?? 1;
}

/** Throws `usage` with the flags that are wrong. */
function configurationOf(flags: Flags): TaskConfiguration {
  const given: Record<string, unknown> = {};
  for (const [flag, , read] of KEYS) {
    const value = flags[flagName(flag)];
    if (typeof value === 'string') given[keyName(flag)] = readFlag(flag, value, read);
  }
  for (const [flag] of SWITCHES) if (flags[flagName(flag)] === true) given[keyName(flag)] = true;
  const result = taskConfiguration.safeParse({
    name: 'task',
    command: flags.command,
    stdout_location: '-',
    stderr_location: '-',
    cwd: process.cwd(),
    env: environmentOf(flags.env),
    ...given,
    // It ends with its command, unless it is told to keep it alive.
    allow_exit: true,
  });
  if (result.success) return result.data;
  const problems = result.error.issues.map(
    (issue) => `--${issue.path.map(String).join('.').replaceAll('_', '-')}: ${issue.message}`,
  );
  throw new CerebroError('usage', problems.join('; '));
}

function environmentOf(pairs: Flags[string]): Record<string, string> {
  const env: Record<string, string> = {};
  for (const pair of Array.isArray(pairs) ? pairs : []) {
    const at = pair.indexOf('=');
    if (at < 1) throw new CerebroError('usage', `--env: "${pair}" is not NAME=VALUE`);
    env[pair.slice(0, at)] = pair.slice(at + 1);
  }
  return env;
}

function readFlag(flag: string, text: string, read: (text: string) => unknown): unknown {
  try {
    return read(text);
  } catch (error) {
    throw new CerebroError('usage', `${flag.split(' ')[0]}: ${messageOf(error)}`);
  }
}

/** What is no number stays text, so that it is said what is wrong with it. */
function numberOf(text: string): unknown {
  const number = Number(text);
  return text.trim() === '' || Number.isNaN(number) ? text : number;
}

function yamlOf(text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw new CerebroError('usage', `"${text}" is not YAML: ${messageOf(error).split('\n')[0]}`);
  }
}

function collect(pair: string, before: string[]): string[] {
  return [...before, pair];
}

/** "--time-limit <seconds>" -> "timeLimit", as commander calls it. */
function flagName(flag: string): string {
  return keyName(flag).replace(/_(\w)/g, (_match, letter: string) => letter.toUpperCase());
}

/** "--time-limit <seconds>" -> "time_limit". */
function keyName(flag: string): string {
  return flag.split(' ')[0]?.slice(2).replaceAll('-', '_') ?? '';
}
