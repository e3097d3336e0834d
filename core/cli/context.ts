import type { Command } from 'commander';
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
  token?: string;
  json?: boolean;
}

/** Gives a command the flags that every command for a cluster has. */
export function clusterCommand(command: Command): Command {
  return command
    .option('--clustersitterurl <url>', 'the cluster sitter (default: CEREBRO_URL, or the user configuration)')
    .option('--token <token>', 'its token (better: CEREBRO_TOKEN, which other users cannot see)')
    .option('--json', 'print JSON');
}

export function clientFor(flags: ClusterFlags): ClusterClient {
  return ClusterClient.from({ url: flags.clustersitterurl, token: flags.token });
}

export function printJson(context: CliContext, value: unknown): void {
  context.out(JSON.stringify(value, null, 2));
}
