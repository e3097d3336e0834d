import type { Command } from 'commander';
import type { Finding } from '../model/finding.ts';
import { type CliContext, printJson } from './context.ts';
import type { DaemonFlags } from './daemon.ts';
import { table } from './table.ts';

const MARKS = { good: 'ok', worse: '!', bad: 'NO' } as const;

interface DoctorFlags {
  json?: boolean;
  provider?: string;
}

/** `cerebro doctor`: what this host, or a provider, can do, and what to change. Ends with 1 where it cannot work at all. */
export function doctor(program: Command, context: CliContext): void {
  program
    .command('doctor')
    .description(
      'what this host can do for tasks, or a machine provider for you, and what to change so that it can do more',
    )
    .option('--provider <name>', 'look at a machine provider with its settings instead, like ec2; changes nothing')
    .option('--json', 'print JSON')
    .action(async (flags: DoctorFlags) => {
      const { dataDir = '.cerebro', plugins } = program.opts<DaemonFlags>();
      if (flags.provider !== undefined) {
        const { inspectProvider } = await import('../engine/inspect-provider.ts');
        const report = await inspectProvider({ name: flags.provider, dataDir, pluginsFile: plugins });
        if (flags.json) printJson(context, report);
        else {
          tell(report.findings, context);
          for (const { title, text } of report.texts) context.out(`\n${title}:\n${text}`);
        }
        judge(report.findings, context);
        return;
      }
      const { inspectHost } = await import('../engine/inspect-host.ts');
      const findings = await inspectHost({ dataDir, pluginsFile: plugins });
      if (flags.json) printJson(context, findings);
      else tell(findings, context);
      judge(findings, context);
    });
}

function tell(findings: readonly Finding[], context: CliContext): void {
  const rows = findings.map(({ about, grade, found }) => [MARKS[grade], about, found]);
  context.out(table(['', '', ''], rows).trimStart());
  const advice = findings.filter((one) => one.grade !== 'good' && one.advice !== null);
  if (advice.length > 0)
    context.out(`\nTo change:\n${advice.map((one) => `- ${one.about}: ${one.advice}`).join('\n')}`);
}

function judge(findings: readonly Finding[], context: CliContext): void {
  if (findings.some(({ grade }) => grade === 'bad')) context.exitWith(1);
}
