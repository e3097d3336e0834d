import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import type { Mode } from '../define-plugin.ts';
import { DataFolder } from '../engine/data-folder.ts';
import { CerebroError } from '../errors.ts';
import { ProcTable } from '../machine/proc-table.ts';
import type { Settings } from '../model/settings.ts';
import { ClusterClient } from './cluster-client.ts';
import type { CliContext } from './context.ts';
import type { DaemonFlags } from './daemon.ts';
import { LOG_FILE } from './last-words.ts';

const STOP_DEADLINE_MS = 120_000;
/** Every daemon makes it at its first start, wherever its store is. */
const ADMIN_TOKEN = 'admin.token';
/** Only a machine sitter keeps tasks. */
const MACHINE_TASKS = 'tasks';

/** `cerebro down`: every task, machine and the daemon of this data folder, until the next `up`. */
export function down(program: Command, context: CliContext): void {
  program
    .command('down')
    .description('stop all tasks, the local machines and the daemon; the next "up" takes it all up again')
    .action(async () => {
      const { readSettings } = await import('../engine/read-settings.ts');
      const flags = program.opts<DaemonFlags>();
      const settings = readSettings(flags.settings, flags.dataDir === undefined ? {} : { data_dir: flags.dataDir });
      const folder = new DataFolder(resolve(settings.data_dir), new ProcTable());
      const holder = folder.holder();
      checkFolder(folder.path, holder?.mode);
      if (holder) await downByDaemon(folder, holder.url);
      else await downAlone(flags, settings);
      context.out('Everything is stopped; the next "cerebro up" (npm start) takes it up again.');
    });
}

/** Whoever is in the wrong place must not be told that everything is stopped. Looks only: nothing is made there. */
function checkFolder(path: string, mode: Mode | undefined): void {
  if (mode === 'machine' || (mode === undefined && existsSync(join(path, MACHINE_TASKS))))
    throw new CerebroError(
      'invalid',
      `${path} is the folder of a machine sitter, and "down" stops a cluster; name the folder of its cluster sitter with --data-dir`,
    );
  if (mode === undefined && !existsSync(join(path, ADMIN_TOKEN)))
    throw new CerebroError(
      'not_found',
      `nothing was stopped: no cluster sitter has ever run in ${path}; name its folder with --data-dir, or call this where it was started`,
    );
}

async function downByDaemon(folder: DataFolder, url: string): Promise<void> {
  if (url === '') throw new CerebroError('unavailable', 'the daemon is just starting; try again in a moment');
  await ask(url, folder.adminToken());
  const deadline = Date.now() + STOP_DEADLINE_MS;
  while (folder.holder()) {
    if (Date.now() > deadline)
      throw new CerebroError(
        'timeout',
        `the daemon at ${url} did not stop within ${STOP_DEADLINE_MS / 1000} s; its log says why`,
      );
    await new Promise((wait) => setTimeout(wait, 50));
  }
}

/** Answered when everything has stopped; refused, with what has not, where something could not be stopped. */
async function ask(url: string, token: string): Promise<void> {
  const client = ClusterClient.from({ url, token, remember: false, answerMs: STOP_DEADLINE_MS });
  await client.sendJson('POST', '/api/v1/down', z.object({ done: z.literal(true) }), { confirm: 'down' });
}

/** The daemon is not there (it was stopped before, or died): a short-lived one finds the machines and stops them. */
async function downAlone(flags: DaemonFlags, settings: Settings): Promise<void> {
  const { createDaemon } = await import('../engine/create-daemon.ts');
  const ended = new AbortController();
  const daemon = await createDaemon({
    mode: 'cluster',
    settings: { ...settings, port: 0, host: '127.0.0.1' },
    pluginsFile: flags.plugins,
    logFile: resolve(settings.data_dir, LOG_FILE),
    portFallback: true,
    onStopRequested: () => ended.abort(),
  });
  await daemon.start();
  try {
    await ask(daemon.url, daemon.adminToken);
    if (!ended.signal.aborted)
      await new Promise<void>((done) => ended.signal.addEventListener('abort', () => done(), { once: true }));
  } finally {
    await daemon.stop();
  }
}
