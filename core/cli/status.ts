import type { Command } from 'commander';
import { clusterStatus } from '../model/cluster-view.ts';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand, printJson } from './context.ts';

export function status(program: Command, context: CliContext): void {
  clusterCommand(program.command('status'))
    .description('the cluster at a glance, and what needs attention')
    .action(async (flags: ClusterFlags) => {
      const client = clientFor(flags);
      const found = await client.get('/api/v1/status', clusterStatus);
      if (flags.json) return printJson(context, found);
      const copies = Object.entries(found.copies).map(([state, count]) => `${count} ${state}`);
      const idle = Object.entries(found.maxIdlePerZone).map(
        ([zone, limit]) => `${zone === '*' ? 'each zone' : zone} ${limit < 0 ? 'all' : limit}`,
      );
      const standing = found.leader === null ? '' : found.leads ? ', leads' : `, stands by (${found.leader} leads)`;
      const lines = [
        `cerebro ${found.version} at ${client.url}, up since ${found.startedAt}, epoch ${found.epoch}${standing}`,
        `${counted(found.jobs, 'job')}, ${counted(found.machines, 'machine')}, copies: ${copies.join(', ') || 'none'}`,
        `idle machines kept: ${idle.join(', ')}`,
        ...(found.attention.length === 0
          ? ['nothing needs attention']
          : ['needs attention:', ...found.attention.map((sentence) => `  ${sentence}`)]),
      ];
      context.out(lines.join('\n'));
    });
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
