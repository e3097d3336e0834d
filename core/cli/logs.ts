import { resolve } from 'node:path';
import type { Command } from 'commander';
import { DataFolder } from '../engine/data-folder.ts';
import { ProcTable } from '../machine/proc-table.ts';
import { type CliContext, type ClusterFlags, clientFor, clusterCommand } from './context.ts';
import { machineClient } from './machine-client.ts';

interface Flags extends ClusterFlags {
  stderr?: boolean;
  follow?: boolean;
  tail?: string;
  run?: string;
  copy?: string;
  machine?: string;
  machinesitterurl?: string;
  both?: boolean;
  grep?: string;
  since?: string;
}

/** Whether a machine sitter runs in a folder. */
function isOfMachine(dataDir: string | undefined): boolean {
  return dataDir !== undefined && new DataFolder(resolve(dataDir), new ProcTable()).holder()?.mode === 'machine';
}

export function logs(program: Command, context: CliContext): void {
  clusterCommand(program.command('logs'))
    .description('what a copy wrote')
    .argument('<task>', 'a copy, or a job that has one copy')
    .option('-e, --stderr', 'standard error instead of standard output')
    .option('-b, --both', 'standard output and error, merged by the time at which they were written')
    .option('-g, --grep <text>', 'only lines with this text, or that fit /EXPRESSION/ or /EXPRESSION/i')
    .option('--since <time>', 'only what was written since then: 90s, 15m, 2h, 1d ago, or 2026-05-04T12:00:00Z')
    .option('-f, --follow', 'go on with what is written from now on')
    .option('-n, --tail <lines>', 'only the last so many lines ("all": everything that is kept)')
    .option('--run <number>', 'of this run instead of the newest')
    .option('--copy <id>', 'which copy, where the job has several')
    .option('--machine <id>', 'the copy on this machine')
    .option('--machinesitterurl <url>', 'ask this machine sitter instead of a cluster sitter')
    .action(async (task: string, flags: Flags) => {
      const query = new URLSearchParams({ stream: flags.both ? 'both' : flags.stderr ? 'stderr' : 'stdout' });
      // Who names a time wants all from there on.
      const tail = flags.tail ?? (flags.since === undefined ? '100' : 'all');
      if (tail !== 'all') query.set('tail', tail);
      if (flags.follow) query.set('follow', '1');
      for (const key of ['run', 'copy', 'machine', 'grep', 'since'] as const)
        if (flags[key] !== undefined) query.set(key, flags[key]);
      const ofMachine = flags.machinesitterurl !== undefined || isOfMachine(flags.dataDir);
      const client = ofMachine ? machineClient(program, flags) : clientFor(flags);
      const path = `/logs/${encodeURIComponent(task)}?${query}`;
      for await (const chunk of client.stream(path, context.interrupted)) await context.write(chunk);
    });
}
