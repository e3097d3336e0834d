import type { Command } from 'commander';
import { forecast } from '../model/cluster-view.ts';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand, printJson } from './context.ts';
import { forecastLines, readJobText } from './update-job-cfg.ts';

interface Flags extends ClusterFlags {
  lost: string[];
  drain: string[];
}

/** `cerebro plan`: what would happen, and nothing does. */
export function plan(program: Command, context: CliContext): void {
  const more = (value: string, before: string[]): string[] => [...before, value];
  clusterCommand(program.command('plan'))
    .description('what would be done: now, with other job files, without a machine; nothing is changed')
    .argument('[files...]', 'job files as they would be applied')
    .option('--lost <machine>', 'suppose that it is lost (more than once: several)', more, [])
    .option('--drain <machine>', 'suppose that it is drained', more, [])
    .action(async (files: string[], flags: Flags) => {
      const text = files.map(readJobText).join('\n---\n');
      const query = new URLSearchParams({ source: files.join(', ') || 'nothing' });
      for (const machine of flags.lost) query.append('lost', machine);
      for (const machine of flags.drain) query.append('drain', machine);
      const answer = await clientFor(flags).send('POST', `/api/v1/plan?${query}`, forecast, {
        text,
        type: 'text/yaml',
      });
      if (flags.json) return printJson(context, answer);
      const lines = forecastLines(answer);
      context.out(lines.length === 0 ? 'nothing would be done' : ['It would:', ...lines].join('\n'));
    });
}
