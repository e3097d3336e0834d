import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { DataFolder } from '../engine/data-folder.ts';
import { packageRoot } from '../engine/package-root.ts';
import { readSettings } from '../engine/read-settings.ts';
import { CerebroError, messageOf } from '../errors.ts';
import { ProcTable } from '../machine/proc-table.ts';
import type { SitterFile } from '../model/sitter-file.ts';
import { IDENTITY_FILE } from '../model/tls-identity.ts';
import { BackgroundSeat } from './background-seat.ts';
import { ClusterClient } from './cluster-client.ts';
import { type CliContext, printJson } from './context.ts';
import type { DaemonFlags } from './daemon.ts';
import type { DaemonSeat } from './daemon-seat.ts';
import { releaseIn } from './release.ts';
import { RunningDaemon } from './running-daemon.ts';
import { checkRelease, endDaemon, swapDaemon } from './swap-daemon.ts';
import { SystemdSeat } from './systemd-seat.ts';
import { type CensusChange, censusAfter, takeCensus } from './task-census.ts';

/** For a cluster to hear of its copies again. */
const CENSUS_MS = 30_000;

interface Flags {
  to?: string;
  background?: boolean;
  deadline: string;
  json?: boolean;
}

/** `cerebro upgrade`: another version in the place of a daemon, under its running tasks. */
export function upgrade(program: Command, context: CliContext): void {
  program
    .command('upgrade')
    .description('put this version, or the one in --to, in the place of the daemon of --data-dir; its tasks run on')
    .option('--to <folder>', 'the folder of the version that is wanted (default: the one that this command is of)')
    .option('--background', 'take a daemon out of its terminal, too: it goes on in the background')
    .option('--deadline <seconds>', 'for the new one until it answers; then the old one is started again', '120')
    .option('--json', 'print JSON')
    .action(async (flags: Flags) => {
      const deadlineMs = Number(flags.deadline) * 1000;
      if (!(deadlineMs > 0)) throw new CerebroError('usage', `--deadline: expected seconds, got "${flags.deadline}"`);
      const release = releaseIn(flags.to === undefined ? packageRoot : resolve(flags.to));
      const { settings: file, dataDir } = program.opts<DaemonFlags>();
      const settings = readSettings(file, dataDir === undefined ? {} : { data_dir: dataDir });
      const folder = new DataFolder(resolve(settings.data_dir), new ProcTable());
      const holder = holderOf(folder);
      const daemon = RunningDaemon.read(holder, folder.path, new ProcTable());
      const seat = await seatOf(daemon, flags.background === true);
      await seat.check(release);
      await checkRelease(release, daemon);
      const client = clientOf(folder, holder);
      const before = await takeCensus(client, holder.mode);
      const what = `the ${holder.mode} sitter in ${folder.path}`;
      const say = (text: string): void => (flags.json ? context.err(text) : context.out(text));
      say(`${what} (pid ${holder.pid}, ${seat.name}): version ${daemon.version} -> ${release.version}`);
      // Between two daemons nobody is to be left alone by a Ctrl-C, or by a terminal that closes.
      const off = context.onSignal(() => context.err('the upgrade is in its middle, and goes on'));
      try {
        if (context.interrupted.aborted) throw new CerebroError('unavailable', 'interrupted: nothing was done');
        const end = (): Promise<void> => endDaemon(daemon, client);
        const { now, failure, awayMs } = await swapDaemon(seat, release, { folder, deadlineMs, end });
        // What is known already is told first: whether the tasks can be asked for is another matter.
        if (failure !== undefined) {
          context.exitWith(1);
          context.err(`cerebro: version ${release.version} did not come up: ${failure}`);
        }
        say(
          `version ${now.version} runs ${failure === undefined ? '' : 'again '}as pid ${now.pid} on ${now.url}, after ${Math.round(awayMs)} ms without a daemon`,
        );
        const change = await censusAfter(clientOf(folder, now), holder.mode, before, CENSUS_MS).catch(messageOf);
        if (flags.json)
          printJson(context, {
            mode: holder.mode,
            before: holder,
            now,
            failure: failure ?? null,
            awayMs,
            tasks: typeof change === 'string' ? null : change,
          });
        if (typeof change === 'string') context.exitWith(1);
        say(typeof change === 'string' ? `what became of the tasks is not known: ${change}` : sentenceOf(change));
      } finally {
        off();
      }
    });
}

/** Throws for a daemon that is not there, does not listen yet, or is another's to bring up to date. */
function holderOf(folder: DataFolder): SitterFile {
  const holder = folder.holder();
  if (!holder)
    throw new CerebroError(
      'unavailable',
      `no daemon runs in ${folder.path}: name its folder with --data-dir; if it is stopped, start the new version`,
    );
  if (holder.url === '')
    throw new CerebroError('unavailable', `the daemon in ${folder.path} is just starting; try again in a moment`);
  if (holder.mode === 'machine' && existsSync(join(folder.path, IDENTITY_FILE)))
    throw new CerebroError(
      'conflict',
      `the machine sitter in ${folder.path} is one of a cluster, which keeps it at its own version: upgrade the cluster sitter`,
    );
  return holder;
}

async function seatOf(daemon: RunningDaemon, background: boolean): Promise<DaemonSeat> {
  const service = await SystemdSeat.of(daemon);
  if (service) return service;
  if (daemon.inBackground || background) return new BackgroundSeat(daemon);
  throw new CerebroError(
    'conflict',
    `the daemon (pid ${daemon.file.pid}) runs in the foreground, so whoever started it there has to start the new version: end it with Ctrl-C, its tasks run on, and start that; or give --background, and the new one goes on in the background`,
  );
}

function clientOf(folder: DataFolder, { mode, url }: SitterFile): ClusterClient {
  return ClusterClient.from({ url, token: folder.adminToken(), remember: false, what: `${mode} sitter` });
}

function sentenceOf({ kept, others }: CensusChange): string {
  const ran = `${kept.length === 1 ? '1 task' : `${kept.length} tasks`} ran on`;
  return others.length === 0 ? `${ran}, none was restarted` : [`${ran}; not so:`, ...others].join('\n  ');
}
