import type { Command } from 'commander';
import { z } from 'zod';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand, printJson } from './context.ts';
import { table } from './table.ts';

const amount = z.object({ offered: z.number(), reserved: z.number(), used: z.number().nullable() });
const machines = z.array(
  z.looseObject({
    id: z.string(),
    zone: z.string(),
    state: z.string(),
    address: z.string().nullable(),
    type: z.string(),
    cpu: amount,
    mem: amount,
    copies: z.array(z.object({ job: z.string(), copy: z.string(), state: z.string(), version: z.number() })),
  }),
);

export function listMachines(program: Command, context: CliContext): void {
  clusterCommand(program.command('listmachines'))
    .description('all machines, with what runs on them')
    .action(async (flags: ClusterFlags) => {
      const found = await clientFor(flags).get('/api/v1/machines', machines);
      if (flags.json) return printJson(context, found);
      if (found.length === 0) return context.out('no machines; they are created when a job needs them');
      const rows = found.map(({ id, state, address, type, cpu, mem, copies }) => [
        id,
        state,
        address ?? '-',
        type,
        `${cpu.reserved}/${cpu.offered}`,
        `${mem.reserved}/${mem.offered}`,
        copies.map(({ copy, state }) => (state === 'ready' ? copy : `${copy} (${state})`)).join(', ') || '-',
      ]);
      context.out(table(['MACHINE', 'STATE', 'ADDRESS', 'TYPE', 'CPU RESERVED', 'MB RESERVED', 'COPIES'], rows));
    });
}
