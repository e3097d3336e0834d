import type { Command } from 'commander';
import { type CliContext, printJson } from './context.ts';
import type { DaemonFlags } from './daemon.ts';
import { table } from './table.ts';

const MARKS = { good: 'ok', worse: '!', bad: 'NO' } as const;

/** `cerebro doctor`: what this host can do, and what to change. Ends with 1 where tasks cannot run at all. */
export function doctor(program: Command, context: CliContext): void {
  program
    .command('doctor')
    .description('what this host can do for tasks, and what to change so that it can do more')
    .option('--json', 'print JSON')
    .action(async (flags: { json?: boolean }) => {
      const { inspectHost } = await import('../engine/inspect-host.ts');
      const { dataDir = '.cerebro', plugins } = program.opts<DaemonFlags>();
      const findings = await inspectHost({ dataDir, pluginsFile: plugins });
      if (flags.json) printJson(context, findings);
      else {
        const rows = findings.map(({ about, grade, found }) => [MARKS[grade], about, found]);
        context.out(table(['', '', ''], rows).trimStart());
        const advice = findings.filter((one) => one.grade !== 'good' && one.advice !== null);
        if (advice.length > 0)
          context.out(`\nTo change:\n${advice.map((one) => `- ${one.about}: ${one.advice}`).join('\n')}`);
      }
      if (findings.some(({ grade }) => grade === 'bad')) context.exitWith(1);
    });
}
