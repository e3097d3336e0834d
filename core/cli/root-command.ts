import { Command, Option } from 'commander';
import type { CliContext } from './context.ts';
import { type DaemonFlags, modeCommand } from './daemon.ts';

/** The program without its commands: what runs a daemon, by flags alone. */
export function rootCommand(context: CliContext): Command {
  const root = new Command('cerebro')
    .description('Runs ordinary processes on machines that it creates, prepares, watches and replaces.')
    .addOption(new Option('--mode <mode>', 'run a daemon: machine or cluster'))
    .option('--daemon', 'with --mode: in the background; returns when it answers')
    .option('--check', 'with --mode: only say whether flags, settings and plugins are as they should be')
    .option('--data-dir <folder>', 'where a daemon keeps its state (default: .cerebro)')
    .option('--host <address>', 'where a daemon listens (default: 127.0.0.1)')
    .option('--port <number>', 'default: 30000 for a cluster sitter, 40000 for a machine sitter')
    .option('--settings <file>', 'a settings file, cerebro.yaml')
    .option('--plugins <file>', "another plugins.json than Cerebro's own")
    .option('--tasks-group <path>', 'the cgroup in which tasks live (see docs/systemd.md)')
    .option('--tasks <file>', 'task definitions that a machine sitter loads, and again with SIGHUP')
    .option('--stop-tasks', 'SIGTERM ends the tasks of a machine sitter too, until its next start')
    .option('--capacity-cpu <cores>', 'what a machine sitter offers to tasks (default: all)')
    .option('--capacity-mem <MB>', 'what a machine sitter offers to tasks (default: all but 128)')
    .option('--log-level <level>', 'trace, debug, info, warn or error')
    .showHelpAfterError('(cerebro help shows what there is)')
    .helpCommand('help [command]', 'show what there is, or what a command does')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.out(text.trimEnd()),
      writeErr: (text) => context.err(text.trimEnd()),
    });
  root.hook('preAction', (_root, command) => {
    // A script's variable that is not set must not become a name, or a path that means all of them.
    if (command.args.includes(''))
      command.error(`error: an argument of "${command.name()}" is empty; nothing was done`);
  });
  root.action(async (_options: unknown, command: Command) => {
    const flags = root.opts<DaemonFlags>();
    const [word] = command.args;
    if (word !== undefined) root.error(`error: unknown command "${word}"`);
    if (flags.mode === undefined) root.help({ error: true });
    await modeCommand(flags, context);
  });
  root.allowExcessArguments(true);
  return root;
}
