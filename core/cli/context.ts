import { resolve } from 'node:path';
import type { Command } from 'commander';
import { DataFolder } from '../engine/data-folder.ts';
import { CerebroError } from '../errors.ts';
import { ProcTable } from '../machine/proc-table.ts';
import { ClusterClient } from './cluster-client.ts';

/** What every command is handed by main.ts: where to write, and how to end. Nothing below here touches `process` for that. */
export interface CliContext {
  out(text: string): void;
  /** Bytes as they are: logs are not ours to change. Resolves when they were taken. */
  write(bytes: Uint8Array): Promise<void>;
  err(text: string): void;
  /** The first SIGINT or SIGTERM; a command that stays ends its work then. */
  interrupted: AbortSignal;
  /**
   * Hands every signal that can be handed on (SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2) to a command instead of ending
   * it: what follows is the command's business, also when somebody insists. Returns how to stop that.
   */
  onSignal(listener: (signal: NodeJS.Signals) => void): () => void;
  /** SIGHUP, for a daemon that reads something again then. Returns how to stop. */
  onHangup(listener: () => void): () => void;
  /** The exit code for when the command returns. */
  exitWith(code: number): void;
}

export interface ClusterFlags {
  clustersitterurl?: string;
  /** Of the program: the folder of the cluster sitter that is meant. */
  dataDir?: string;
  token?: string;
  json?: boolean;
}

/** Gives a command the flags that every command for a cluster has. */
export function clusterCommand(command: Command): Command {
  return command
    .option('--clustersitterurl <url>', 'the cluster sitter (default: CEREBRO_URL, or the user configuration)')
    .option('--token <token>', 'its token (better: CEREBRO_TOKEN, which other users cannot see)')
    .option('--json', 'print JSON')
    .hook('preAction', (_command, asked) => {
      const { dataDir } = asked.optsWithGlobals<ClusterFlags>();
      if (dataDir !== undefined) asked.setOptionValue('dataDir', dataDir);
    });
}

/** The cluster sitter that is meant: by its URL, or by the folder that it runs in here; else as the environment or the user's configuration say. */
export function clientFor({ clustersitterurl: url, token, dataDir }: ClusterFlags): ClusterClient {
  if (url !== undefined || dataDir === undefined) return ClusterClient.from({ url, token });
  const folder = new DataFolder(resolve(dataDir), new ProcTable());
  const holder = folder.holder();
  if (holder?.mode !== 'cluster' || holder.url === '')
    throw new CerebroError(
      'unavailable',
      `no cluster sitter runs in ${folder.path}: start it there, name another folder, or leave --data-dir out`,
    );
  const own = token ?? process.env.CEREBRO_TOKEN ?? folder.adminToken();
  return ClusterClient.from({ url: holder.url, token: own, remember: false });
}

export function printJson(context: CliContext, value: unknown): void {
  context.out(JSON.stringify(value, null, 2));
}
