import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { CerebroError } from '../errors.ts';
import { taskConfiguration } from '../model/task-configuration.ts';
import type { CliContext } from './context.ts';

interface Flags {
  command: string;
  name: string;
  cpu?: string;
  mem?: string;
  timeLimit?: string;
  ensureAlive?: boolean;
  restart?: boolean;
  maxRestarts?: string;
  uid?: string;
  stdoutLocation: string;
  stderrLocation: string;
  pollInterval?: string;
}

/** `cerebro task`: one process in the foreground, held to its limits. Ends with the command's exit code, 128+n for a signal. */
export function task(program: Command, context: CliContext): void {
  program
    .command('task')
    .description('run one process and hold it to its limits (the bin "tasksitter")')
    .requiredOption('--command <line>', 'what to run, by /bin/bash -c')
    .option('--name <name>', 'what to call it', 'task')
    .option('--cpu <cores>', 'cores; .5 is half of one')
    .option('--mem <MB>', 'memory')
    .option('--time-limit <seconds>', 'how long one run may live')
    .option('--ensure-alive', 'start it again whenever it ends')
    .option('--restart', 'start it again after a limit ended it')
    .option('--max-restarts <count>', 'at most so often; -1 is without end')
    .option('--uid <user>', 'run it as this user, by number or name')
    .option('--stdout-location <folder>', 'where standard output goes; "-" is here', '-')
    .option('--stderr-location <folder>', 'where standard error goes; "-" is here', '-')
    .option('--poll-interval <seconds>', 'for what has to be polled')
    .action(async (flags: Flags) => {
      const result = taskConfiguration.safeParse({
        name: flags.name,
        command: flags.command,
        cpu: numberOf(flags.cpu),
        mem: numberOf(flags.mem),
        time_limit: numberOf(flags.timeLimit),
        ensure_alive: flags.ensureAlive ?? false,
        restart: flags.restart ?? false,
        max_restarts: numberOf(flags.maxRestarts) ?? -1,
        poll_interval: numberOf(flags.pollInterval),
        uid: flags.uid === undefined ? undefined : /^\d+$/.test(flags.uid) ? Number(flags.uid) : flags.uid,
        stdout_location: flags.stdoutLocation,
        stderr_location: flags.stderrLocation,
        allow_exit: true,
        cwd: process.cwd(),
      });
      if (!result.success)
        throw new CerebroError(
          'usage',
          result.error.issues
            .map((issue) => `--${issue.path.join('.').replaceAll('_', '-')}: ${issue.message}`)
            .join('; '),
        );
      const folder = mkdtempSync(join(tmpdir(), 'cerebro-task-'));
      try {
        const end = await runInForeground(folder, result.data, context);
        context.exitWith(end);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
}

async function runInForeground(
  folder: string,
  configuration: ReturnType<typeof taskConfiguration.parse>,
  context: CliContext,
): Promise<number> {
  const { createTaskHarness } = await import('../engine/create-task-harness.ts');
  const harness = await createTaskHarness(folder, configuration, (line) => context.err(`cerebro: ${line}`));
  try {
    harness.sitter.dispatch({ kind: 'start', why: 'started by hand' });
    const interrupted = (): void => harness.sitter.dispatch({ kind: 'stop', reason: 'user', why: 'interrupted' });
    context.interrupted.addEventListener('abort', interrupted, { once: true });
    await harness.sitter.atRest();
    const { lastEnd } = harness.sitter.status();
    if (lastEnd?.signal) return 128 + (constants.signals[lastEnd.signal as NodeJS.Signals] ?? 0);
    return lastEnd?.code ?? 1;
  } finally {
    await harness.stop();
  }
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}
