import type { Command } from 'commander';
import { z } from 'zod';
import { jobView } from '../model/cluster-view.ts';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand, printJson } from './context.ts';
import { table } from './table.ts';

export function listJobs(program: Command, context: CliContext): void {
  clusterCommand(program.command('listjobs'))
    .description('all jobs, by zone')
    .action(async (flags: ClusterFlags) => {
      const found = await clientFor(flags).get('/api/v1/jobs', z.array(jobView));
      if (flags.json) return printJson(context, found);
      if (found.length === 0) return context.out('no jobs yet; apply one: job_update_cfg examples/hello.yaml');
      const rows = found.flatMap((job) => {
        const zones = Object.entries(job.zones);
        const aside = job.state === 'removing' ? ' (being removed)' : job.stopped ? ' (stopped)' : '';
        const name = `${job.name}${aside}`;
        if (zones.length === 0) return [[name, job.version, '-', 0, 0, 0, 0]];
        return zones.map(([zone, n]) => [name, job.version, zone, n.wanted, n.ready, n.starting, n.failing]);
      });
      context.out(table(['JOB', 'VERSION', 'ZONE', 'WANTED', 'READY', 'STARTING', 'FAILING'], rows));
    });
}
