import type { Command } from 'commander';
import { z } from 'zod';
import { CerebroError } from '../errors.ts';
import { alertView } from '../model/alert.ts';
import { type JobRunView, jobRunView, jobView } from '../model/cluster-view.ts';
import { jobRecord, jobVersion } from '../model/job.ts';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand, printJson } from './context.ts';
import { table } from './table.ts';
import { updateJob } from './update-job-cfg.ts';

const done = z.object({ done: z.literal(true) });
const ROLLOUT_WORDS = {
  pause: 'stands still until it is resumed',
  resume: 'goes on',
  promote: 'goes to all the rest at once',
} as const;

/** What can be asked of a job, beside applying its file. */
export function jobCommands(program: Command, context: CliContext): void {
  const tell = (flags: ClusterFlags, answer: unknown, text: string): void =>
    flags.json ? printJson(context, answer) : context.out(text);
  const pathOf = (job: string, rest = ''): string => `/api/v1/jobs/${encodeURIComponent(job)}${rest}`;
  const command = (name: string, description: string): Command =>
    clusterCommand(program.command(name)).description(description).argument('<job>');

  clusterCommand(program.command('alerts'))
    .description('what a person should know of now')
    .action(async (flags: ClusterFlags) => {
      const alerts = await clientFor(flags).get('/api/v1/alerts', z.array(alertView));
      if (flags.json) return printJson(context, alerts);
      if (alerts.length === 0) return context.out('no alerts');
      context.out(
        table(
          ['SINCE', 'LEVEL', 'ALERT'],
          alerts.map(({ since, level, sentence }) => [since, level, sentence]),
        ),
      );
    });

  command('removejob', 'stop all copies of a job and forget it').action(async (job: string, flags: ClusterFlags) => {
    const answer = await clientFor(flags).send('DELETE', pathOf(job), done);
    tell(flags, answer, `"${job}" is being removed; its copies are stopped`);
  });

  command('stop', 'stop all copies of a job until it is started again').action(
    async (job: string, flags: ClusterFlags) => {
      const answer = await clientFor(flags).sendJson('POST', pathOf(job, '/stop'), done, {});
      tell(flags, answer, `"${job}" is being stopped; cerebro start brings it back`);
    },
  );

  command('start', 'start a job that was stopped').action(async (job: string, flags: ClusterFlags) => {
    const answer = await clientFor(flags).sendJson('POST', pathOf(job, '/start'), done, {});
    tell(flags, answer, `"${job}" is started`);
  });

  command('scale', 'change how many copies a job has in a zone')
    .argument('<count>', 'copies in that zone')
    .option('--zone <zone>', 'needed where the job runs in several')
    .action(async (job: string, count: string, flags: ClusterFlags & { zone?: string }) => {
      const copies = wholeNumber(count, 0, 'copies');
      const body = { count: copies, zone: flags.zone ?? null };
      const answer = await clientFor(flags).sendJson('POST', pathOf(job, '/scale'), done, body);
      tell(flags, answer, `"${job}" is to have ${copies} ${copies === 1 ? 'copy' : 'copies'}; nothing restarts`);
    });

  updateJob(program, context);

  command('versions', 'the versions of a job that are kept').action(async (job: string, flags: ClusterFlags) => {
    const client = clientFor(flags);
    const versions = await client.get(pathOf(job, '/versions'), z.array(jobVersion));
    if (flags.json) return printJson(context, versions);
    const { version: current, rollout } = await client.get(pathOf(job), jobView.extend({ record: jobRecord }));
    const rows = versions.map(({ version, createdAt, by, outcome, sentence, spec }) => [
      version,
      `${outcome ?? (rollout?.to === version ? 'rolling' : '-')}${version === current ? ', in force' : ''}`,
      spec.version ?? '-',
      createdAt,
      by,
      sentence ?? '',
    ]);
    context.out(table(['VERSION', 'STATE', 'DEPLOYS', 'SINCE', 'BY', 'WHY'], rows));
  });

  command('rollback', 'go back to an earlier version of a job')
    .option('--to <version>', 'one that is kept (default: the last that was well)')
    .action(async (job: string, flags: ClusterFlags & { to?: string }) => {
      const to = flags.to === undefined ? null : wholeNumber(flags.to, 1, 'version');
      const answer = await clientFor(flags).sendJson(
        'POST',
        pathOf(job, '/rollback'),
        z.object({ version: z.number() }),
        { to },
      );
      tell(flags, answer, `"${job}" goes back to version ${answer.version}`);
    });

  command('rollout', 'pause, resume or promote the roll-out of a job')
    .argument('<action>', 'pause, resume, or promote (all the rest at once)')
    .action(async (job: string, action: string, flags: ClusterFlags) => {
      if (action !== 'pause' && action !== 'resume' && action !== 'promote')
        throw new CerebroError('usage', `"${action}" is nothing that a roll-out can do: pause, resume or promote`);
      const answer = await clientFor(flags).sendJson('POST', pathOf(job, '/rollout'), done, { action });
      tell(flags, answer, `the roll-out of "${job}" ${ROLLOUT_WORDS[action]}`);
    });

  command('run', 'run a job once, now (one whose command is meant to end: allow_exit)').action(
    async (job: string, flags: ClusterFlags) => {
      const run = await clientFor(flags).sendJson('POST', pathOf(job, '/runs'), jobRunView, {});
      tell(flags, run, `run ${run.id} of "${job}" begins; cerebro runs "${job}" tells what becomes of it`);
    },
  );

  command('runs', 'the runs of a job').action(async (job: string, flags: ClusterFlags) => {
    const runs = await clientFor(flags).get(pathOf(job, '/runs'), z.array(jobRunView));
    if (flags.json) return printJson(context, runs);
    if (runs.length === 0) return context.out(`"${job}" has had no runs`);
    context.out(table(['RUN', 'STATE', 'BEGUN', 'TOOK', 'BY', 'WHAT'], runs.map(runRow)));
  });

  command('stoprun', 'stop the run of a job that goes on')
    .option('--run <number>', 'which, where several go on')
    .action(async (job: string, flags: ClusterFlags & { run?: string }) => {
      const run = flags.run === undefined ? null : wholeNumber(flags.run, 1, 'run');
      const answer = await clientFor(flags).sendJson('POST', pathOf(job, '/runs/stop'), z.object({ run: z.number() }), {
        run,
      });
      tell(flags, answer, `run ${answer.run} of "${job}" is stopped`);
    });
}

function runRow(run: JobRunView): (string | number)[] {
  const { id, state, startedAt, endedAt, by, sentence } = run;
  const took = endedAt === null ? '' : `${((Date.parse(endedAt) - Date.parse(startedAt)) / 1000).toFixed(1)} s`;
  return [id, state, startedAt, took, by, sentence];
}

/** Throws `usage` for what is no such number. */
export function wholeNumber(text: string, least: number, what: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
  throw new CerebroError('usage', `"${text}" is no number of ${what}: a whole number from ${least} on`);
}
