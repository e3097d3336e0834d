import type { Command } from 'commander';
import { z } from 'zod';
import { pluginView } from '../model/cluster-view.ts';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand, printJson } from './context.ts';
import { table } from './table.ts';

export function plugins(program: Command, context: CliContext): void {
  clusterCommand(program.command('plugins'))
    .description('the plugins that the cluster sitter has loaded')
    .action(async (flags: ClusterFlags) => {
      const found = await clientFor(flags).get('/api/v1/plugins', z.array(pluginView));
      if (flags.json) return printJson(context, found);
      context.out(
        table(
          ['PLUGIN', 'EXTENDS', 'STATE', 'FROM'],
          found.map(({ id, point, state, use }) => [id, point, state, use]),
        ),
      );
    });
}
