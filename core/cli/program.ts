import { Command, Option } from 'commander';
import { packageVersion } from '../engine/package-root.ts';
import { adopt } from './adopt.ts';
import { backup } from './backup.ts';
import type { CliContext } from './context.ts';
import { type DaemonFlags, modeCommand } from './daemon.ts';
import { dns } from './dns.ts';
import { doctor } from './doctor.ts';
import { down } from './down.ts';
import { events } from './events.ts';
import { explain } from './explain.ts';
import { installService } from './install-service.ts';
import { jobCommands } from './job-commands.ts';
import { listJobs } from './list-jobs.ts';
import { listMachines } from './list-machines.ts';
import { login } from './login.ts';
import { logs } from './logs.ts';
import { machineCommands } from './machine-commands.ts';
import { plan } from './plan.ts';
import { plugins } from './plugins.ts';
import { secret } from './secret.ts';
import { smallCommands } from './small-commands.ts';
import { status } from './status.ts';
import { task } from './task.ts';
import { tasks } from './tasks.ts';
import { token } from './token.ts';
import { up } from './up.ts';
import { updateJobCfg } from './update-job-cfg.ts';
import { upgrade } from './upgrade.ts';

/** The whole command line. */
export function program(context: CliContext): Command {
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
  root.action(async (_options: unknown, command: Command) => {
    const flags = root.opts<DaemonFlags>();
    const [word] = command.args;
    if (word !== undefined) root.error(`error: unknown command "${word}"`);
    if (flags.mode === undefined) root.help({ error: true });
    await modeCommand(flags, context);
  });
  root.allowExcessArguments(true);
  // Not commander's own: it would take the flag away from `updatejob --version V`.
  root
    .command('version')
    .description('print the version of Cerebro (also --version)')
    .action(() => context.out(packageVersion));
  up(root, context);
  down(root, context);
  task(root, context);
  tasks(root, context);
  doctor(root, context);
  installService(root, context);
  upgrade(root, context);
  updateJobCfg(root, context);
  listJobs(root, context);
  listMachines(root, context);
  login(root, context);
  logs(root, context);
  status(root, context);
  events(root, context);
  explain(root, context);
  dns(root, context);
  plan(root, context);
  plugins(root, context);
  jobCommands(root, context);
  machineCommands(root, context);
  adopt(root, context);
  backup(root, context);
  token(root, context);
  secret(root, context);
  smallCommands(root, context);
  // commander hands exitOverride and output to commands that are made after it, but not to those of a nested command.
  for (const command of root.commands) {
    command.exitOverride().copyInheritedSettings(root);
    for (const nested of command.commands) nested.exitOverride().copyInheritedSettings(root);
  }
  return root;
}
