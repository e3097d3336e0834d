import type { Command } from 'commander';
import type { CliContext } from './context.ts';
import type { DaemonFlags } from './daemon.ts';
import { rootCommand } from './root-command.ts';

/**
 * The command line for these words (without program and script), not parsed yet. A daemon is started by flags alone and gets none of the
 * commands: to load them all takes a good part of the time until it listens, and machines are many.
 */
export async function commandLine(words: readonly string[], context: CliContext): Promise<Command> {
  const root = rootCommand(context);
  if (!startsDaemon(words, context)) (await import('./program.ts')).addCommands(root, context);
  return root;
}

function startsDaemon(words: readonly string[], context: CliContext): boolean {
  const probe = rootCommand(context);
  const { operands, unknown } = probe.parseOptions([...words]);
  return probe.opts<DaemonFlags>().mode !== undefined && operands.length === 0 && unknown.length === 0;
}
