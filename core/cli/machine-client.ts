import { resolve } from 'node:path';
import type { Command } from 'commander';
import { DataFolder } from '../engine/data-folder.ts';
import { readSettings } from '../engine/read-settings.ts';
import { CerebroError } from '../errors.ts';
import { ProcTable } from '../machine/proc-table.ts';
import { ClusterClient } from './cluster-client.ts';
import type { DaemonFlags } from './daemon.ts';

export interface MachineFlags {
  machinesitterurl?: string;
  token?: string;
  json?: boolean;
}

/** Gives a command the flags that every command for one machine has. */
export function machineCommand(command: Command): Command {
  return command
    .option('--machinesitterurl <url>', 'the machine sitter (default: CEREBRO_MACHINE_URL, or the one of --data-dir)')
    .option('--token <token>', 'its token (better: CEREBRO_TOKEN, which other users cannot see)')
    .option('--json', 'print JSON');
}

/** The machine sitter that is meant: by its URL, or the one that runs here in the data folder, whose token is there, too. */
export function machineClient(program: Command, flags: MachineFlags): ClusterClient {
  const token = flags.token ?? process.env.CEREBRO_TOKEN;
  const url = flags.machinesitterurl ?? process.env.CEREBRO_MACHINE_URL;
  const what = 'machine sitter';
  if (url !== undefined) {
    if (token === undefined)
      throw new CerebroError(
        'unauthorized',
        `no token for ${url}: give --token or CEREBRO_TOKEN (it is in the file admin.token of the machine sitter's data folder)`,
      );
    return ClusterClient.from({ url, token, remember: false, what });
  }
  const { settings: file, dataDir } = program.opts<DaemonFlags>();
  const settings = readSettings(file, dataDir === undefined ? {} : { data_dir: dataDir });
  const folder = new DataFolder(resolve(settings.data_dir), new ProcTable());
  const holder = folder.holder();
  if (holder?.mode !== 'machine' || holder.url === '')
    throw new CerebroError(
      'unavailable',
      `no machine sitter runs in ${folder.path}; name its folder with --data-dir, or its URL with --machinesitterurl`,
    );
  return ClusterClient.from({ url: holder.url, token: token ?? folder.adminToken(), remember: false, what });
}
