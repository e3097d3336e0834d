import type { Command } from 'commander';
import { z } from 'zod';
import { machineView } from '../model/cluster-view.ts';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand, printJson } from './context.ts';
import { table } from './table.ts';

export function listMachines(program: Command, context: CliContext): void {
  clusterCommand(program.command('listmachines'))
    .description('all machines, with what runs on them')
    .action(async (flags: ClusterFlags) => {
      const found = await clientFor(flags).get('/api/v1/machines', z.array(machineView));
      if (flags.json) return printJson(context, found);
      if (found.length === 0) return context.out('no machines; they are created when a job needs them');
      const rows = found.map(({ id, state, percent, address, type, cpu, mem, copies }) => [
        id,
        percent === undefined ? state : `${state}, ${percent} %`,
        address ?? '-',
        type,
        `${cpu.reserved}/${cpu.offered}`,
        `${mem.reserved}/${mem.offered}`,
        copies.map(({ copy, state }) => (state === 'ready' ? copy : `${copy} (${state})`)).join(', ') || '-',
      ]);
      context.out(table(['MACHINE', 'STATE', 'ADDRESS', 'TYPE', 'CPU RESERVED', 'MB RESERVED', 'COPIES'], rows));
    });
}
