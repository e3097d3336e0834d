import type { Command } from 'commander';
import { explanation } from '../model/cluster-view.ts';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand, printJson } from './context.ts';
import { eventLine } from './event-line.ts';

export function explain(program: Command, context: CliContext): void {
  clusterCommand(program.command('explain'))
    .description('why a job, machine or copy is as it is')
    .argument('<what>', 'the name of a job, machine or copy')
    .action(async (what: string, flags: ClusterFlags) => {
      const found = await clientFor(flags).get(`/api/v1/explain/${encodeURIComponent(what)}`, explanation);
      if (flags.json) return printJson(context, found);
      context.out(
        [
          found.about,
          ...found.sentences.map((sentence) => `  ${sentence}`),
          'how it came to this:',
          ...found.timeline.map(eventLine),
        ].join('\n'),
      );
    });
}
