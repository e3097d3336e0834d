import type { Command } from 'commander';
import { z } from 'zod';
import { clusterEvent } from '../model/event.ts';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand, printJson } from './context.ts';
import { eventLine } from './event-line.ts';

interface Flags extends ClusterFlags {
  job?: string;
  machine?: string;
  copy?: string;
  since?: string;
  limit: string;
}

export function events(program: Command, context: CliContext): void {
  clusterCommand(program.command('events'))
    .description('the timeline: the newest events')
    .option('--job <name>', 'only of this job')
    .option('--machine <id>', 'only of this machine')
    .option('--copy <id>', 'only of this copy')
    .option('--since <number>', 'only those after event NUMBER, oldest first')
    .option('--limit <count>', 'at most so many', '50')
    .action(async (flags: Flags) => {
      const query = new URLSearchParams();
      for (const key of ['job', 'machine', 'copy', 'since', 'limit'] as const)
        if (flags[key] !== undefined) query.set(key, flags[key]);
      const found = await clientFor(flags).get(`/api/v1/events?${query}`, z.array(clusterEvent));
      if (flags.json) return printJson(context, found);
      context.out(found.length === 0 ? 'no events' : found.map(eventLine).join('\n'));
    });
}
