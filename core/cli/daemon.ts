import type { Mode } from '../define-plugin.ts';
import type { Daemon } from '../engine/create-daemon.ts';
import { CerebroError } from '../errors.ts';
import type { CliContext } from './context.ts';
import { daemonize } from './daemonize.ts';

/** The flags of the program itself, before any command. */
export interface DaemonFlags {
  mode?: string;
  dataDir?: string;
  host?: string;
  port?: string;
  settings?: string;
  plugins?: string;
  logLevel?: string;
  tasksGroup?: string;
  portFallback?: boolean;
  daemon?: boolean;
}

export interface RunOptions {
  mode: Mode;
  logFile: ((dataDir: string) => string) | undefined;
  onStarted(daemon: Daemon): void;
}

/** Runs a daemon until it is interrupted, or was asked to end over its API; says which. */
export async function runDaemon(
  flags: DaemonFlags,
  options: RunOptions,
  context: CliContext,
): Promise<'interrupted' | 'asked'> {
  // Loaded here, so that a command that only asks a cluster sitter something does not load a whole daemon.
  const { createDaemon } = await import('../engine/create-daemon.ts');
  const { readSettings } = await import('../engine/read-settings.ts');
  const settings = readSettings(flags.settings, {
    ...(flags.dataDir !== undefined && { data_dir: flags.dataDir }),
    ...(flags.host !== undefined && { host: flags.host }),
    ...(flags.port !== undefined && { port: portOf(flags.port) }),
    ...(flags.tasksGroup !== undefined && { tasks_group: flags.tasksGroup }),
    ...(flags.logLevel !== undefined && { log_level: flags.logLevel as 'info' }),
  });
  const stop = new AbortController();
  const daemon = await createDaemon({
    mode: options.mode,
    settings,
    pluginsFile: flags.plugins,
    logFile: options.logFile?.(settings.data_dir),
    portFallback: flags.portFallback ?? false,
    onStopRequested: () => stop.abort(),
  });
  await daemon.start();
  try {
    options.onStarted(daemon);
    const signal = AbortSignal.any([context.interrupted, stop.signal]);
    if (!signal.aborted)
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    return stop.signal.aborted ? 'asked' : 'interrupted';
  } finally {
    await daemon.stop();
  }
}

function portOf(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new CerebroError('usage', `--port: "${text}" is not a port (0 to 65535)`);
  return port;
}

/** `cerebro --mode machine|cluster`. */
export async function modeCommand(flags: DaemonFlags, context: CliContext): Promise<void> {
  const { mode } = flags;
  if (mode !== 'machine' && mode !== 'cluster')
    throw new CerebroError('usage', `--mode: "${mode}" is neither machine nor cluster`);
  if (flags.daemon) return daemonize(flags, context);
  const started = (daemon: Daemon): void => {
    context.err(`cerebro: the ${mode} sitter listens on ${daemon.url}`);
    context.err('cerebro: a browser signs in there with the token in the file admin.token of the data folder');
  };
  await runDaemon(flags, { mode, logFile: undefined, onStarted: started }, context);
}
