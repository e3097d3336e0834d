import type { Command } from 'commander';
import { packageVersion } from '../engine/package-root.ts';
import { adopt } from './adopt.ts';
import { backup } from './backup.ts';
import type { CliContext } from './context.ts';
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

/** Gives the program all of its commands. */
export function addCommands(root: Command, context: CliContext): void {
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
  // Words too many are for the root alone, which says that it knows no such command.
  for (const command of root.commands)
    for (const each of [command, ...command.commands])
      each.exitOverride().copyInheritedSettings(root).allowExcessArguments(false);
}
