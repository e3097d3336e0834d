import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { CerebroError, messageOf } from '../errors.ts';
import { type ApplyResult, applyResult } from '../model/cluster-view.ts';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand, printJson } from './context.ts';

/** `job_update_cfg FILE…`: each file is applied whole or not at all; the first refusal ends it. */
export function updateJobCfg(program: Command, context: CliContext): void {
  clusterCommand(program.command('updatejobcfg').alias('job_update_cfg'))
    .description('apply job files ("-" reads standard input)')
    .argument('<files...>', 'job files, YAML or JSON')
    .option('--dry-run', 'print what would happen, and change nothing')
    .action(async (files: string[], flags: ClusterFlags & { dryRun?: boolean }) => {
      const client = clientFor(flags);
      const texts = files.map((file) => ({ file, text: readJobText(file) }));
      const results: ApplyResult[] = [];
      for (const { file, text } of texts) {
        const query = new URLSearchParams({ source: file, dry_run: flags.dryRun ? '1' : '0' });
        results.push(await client.send('POST', `/api/v1/jobs?${query}`, applyResult, { text, type: 'text/yaml' }));
      }
      if (flags.json) return printJson(context, results);
      for (const result of results) context.out(sentences(result));
    });
}

function readJobText(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new CerebroError('usage', `the job file ${file} cannot be read: ${messageOf(error)}`);
  }
}

function sentences(result: ApplyResult): string {
  const lines = result.changes.map(({ job, change, version, restarts }) => {
    if (change === 'unchanged') return `"${job}" is as it was (version ${version}): nothing to do`;
    const consequence =
      change === 'updated' ? (restarts ? '; its copies are restarted one after another' : '; nothing restarts') : '';
    return `"${job}" ${result.dryRun ? `would be ${change}` : change}, version ${version}${consequence}`;
  });
  const plan =
    result.plan.length === 0
      ? []
      : [result.dryRun ? 'It would:' : 'It will:', ...result.plan.map((sentence) => `  ${sentence}`)];
  return [...lines, ...plan].join('\n');
}
