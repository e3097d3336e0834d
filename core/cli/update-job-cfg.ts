import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { CerebroError, messageOf } from '../errors.ts';
import { type ApplyResult, applyResult, type Forecast, jobView } from '../model/cluster-view.ts';
import { jobRecord } from '../model/job.ts';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand, printJson } from './context.ts';

const SHOWN_LINES = 40;
const MAX_BYTES = 1024 * 1024;

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
      try {
        for (const { file, text } of texts) {
          const query = new URLSearchParams({ source: file, dry_run: flags.dryRun ? '1' : '0' });
          const result = await client.send('POST', `/api/v1/jobs?${query}`, applyResult, { text, type: 'text/yaml' });
          results.push(result);
          if (!flags.json) context.out(sentences(result));
        }
      } catch (error) {
        // Those before the one that was refused are in force.
        if (flags.json && results.length > 0) printJson(context, results);
        throw error;
      }
      if (flags.json) printJson(context, results);
    });
}

/** `cerebro updatejob JOB --version V`: the job as it stands, with another version of what its recipe deploys. */
export function updateJob(program: Command, context: CliContext): void {
  clusterCommand(program.command('updatejob'))
    .description('deploy another version of what a job runs')
    .argument('<job>')
    .requiredOption('--version <version>', 'what its recipe is to deploy')
    .option('--dry-run', 'print what would happen, and change nothing')
    .action(async (job: string, flags: ClusterFlags & { version: string; dryRun?: boolean }) => {
      const client = clientFor(flags);
      const path = `/api/v1/jobs/${encodeURIComponent(job)}`;
      const { record } = await client.get(path, jobView.extend({ record: jobRecord }));
      const text = JSON.stringify({ ...record.spec, version: flags.version });
      const query = new URLSearchParams({
        source: `"${job}" with version ${flags.version}`,
        dry_run: flags.dryRun ? '1' : '0',
        if_updated_at: record.updatedAt,
      });
      const result = await client.send('POST', `/api/v1/jobs?${query}`, applyResult, { text, type: 'text/yaml' });
      if (flags.json) return printJson(context, result);
      context.out(sentences(result));
    });
}

/** Throws `usage` or `invalid` for what is no job file. */
export function readJobText(file: string): string {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new CerebroError('usage', `the job file ${file} cannot be read: ${messageOf(error)}`);
  }
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_BYTES)
    throw new CerebroError('invalid', `${file} has ${(bytes / 1024 / 1024).toFixed(1)} MB; a job file may have 1 MB`);
  if (text.trim() === '') throw new CerebroError('invalid', `${file} is empty; a job file holds at least one job`);
  return text;
}
function sentences(result: ApplyResult): string {
  const lines = result.changes.map(({ job, change, version, restarts }) => {
    if (change === 'unchanged') return `"${job}" is as it was (version ${version}): nothing to do`;
    const consequence =
      change === 'updated' ? (restarts ? '; its copies are restarted one after another' : '; nothing restarts') : '';
    return `"${job}" ${result.dryRun ? `would be ${change}` : change}, version ${version}${consequence}`;
  });
  const steps = forecastLines(result);
  const plan = steps.length === 0 ? [] : [result.dryRun ? 'It would:' : 'It will:', ...steps];
  return [...lines, ...plan].join('\n');
}

/** The steps, and what they cost. */
export function forecastLines({ plan, price }: Forecast): string[] {
  const lines = shortened(plan);
  if (price === null || price.before === price.after) return lines;
  return [...lines, `The machines cost ${price.before} an hour now, and ${price.after} then.`];
}

/** A plan of a thousand copies is not read line by line; --json has all of it. */
function shortened(plan: readonly string[]): string[] {
  const lines = plan.slice(0, SHOWN_LINES).map((sentence) => `  ${sentence}`);
  const rest = plan.length - lines.length;
  return rest > 0 ? [...lines, `  … and ${rest} more (--json shows all)`] : lines;
}
