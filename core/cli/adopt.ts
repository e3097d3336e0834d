import type { Command } from 'commander';
import { z } from 'zod';
import { CerebroError } from '../errors.ts';
import { type AdoptionView, adoptionView } from '../model/adoption.ts';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand, printJson } from './context.ts';
import { table } from './table.ts';

interface AdoptFlags extends ClusterFlags {
  cluster?: string;
  dryRun?: boolean;
  end?: string[];
}

/** `cerebro adopt`. Ends with 1 where something could not be adopted, or not be asked. */
export function adopt(program: Command, context: CliContext): void {
  clusterCommand(program.command('adopt'))
    .description('take over machines that run already, with their tasks, after a store was lost')
    .option('--cluster <id>', "whose machines: another cluster's, whose name this one takes (default: our own)")
    .option('--dry-run', 'show what there is, and change nothing')
    .option('--end <task...>', 'end tasks that were found on adopted machines and are copies of no job')
    .action(async (flags: AdoptFlags) => {
      if (flags.end && (flags.dryRun || flags.cluster !== undefined))
        throw new CerebroError(
          'usage',
          '--end ends what was adopted already: it goes with neither --dry-run nor --cluster',
        );
      const client = clientFor(flags);
      if (flags.end) {
        const done = z.object({ done: z.literal(true) });
        const answer = await client.sendJson('POST', '/api/v1/adopt/end', done, { tasks: flags.end });
        return flags.json ? printJson(context, answer) : context.out(`${flags.end.join(', ')}: to be ended`);
      }
      const { cluster, dryRun = false } = flags;
      const view = await client.sendJson('POST', '/api/v1/adopt', adoptionView, { cluster, dryRun });
      if (flags.json) printJson(context, view);
      else context.out(textOf(view));
      if (view.problems.length > 0 || view.machines.some(({ problem }) => problem !== null)) context.exitWith(1);
    });
}

function textOf({ dryRun, cluster, machines, left, problems }: AdoptionView): string {
  const parts = [...problems];
  const able = machines.filter(({ problem }) => problem === null);
  const share = `${able.length} of ${machines.length} machines`;
  if (machines.length > 0) {
    const rows = machines.map((each) => [each.machine, each.cluster, each.type, each.address ?? '-', standing(each)]);
    parts.push(table(['MACHINE', 'CLUSTER', 'TYPE', 'ADDRESS', dryRun ? 'ADOPTABLE' : 'ADOPTED'], rows));
  }
  const tasks = dryRun ? machines.flatMap((machine) => machine.tasks) : left;
  const rows = tasks.map(({ task, machine, job, becomes }) => [task, machine, job, becomes]);
  if (rows.length > 0) parts.push(table(['TASK', 'MACHINE', 'JOB', dryRun ? 'WOULD BE' : 'IS'], rows));
  if (machines.length === 0) parts.push('no machine was found that is not known here');
  else if (dryRun && cluster === null) parts.push('these are of several clusters; say whose to adopt: --cluster ID');
  else if (dryRun) parts.push(`${share} can be adopted: cerebro adopt --cluster ${cluster}`);
  else parts.push(`${share} are being adopted; cerebro listmachines shows how they come`);
  return parts.join('\n\n');
}

function standing({ problem }: AdoptionView['machines'][number]): string {
  return problem ?? 'yes';
}
