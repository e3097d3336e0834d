import { resolve } from 'node:path';
import type { Mode } from '../define-plugin.ts';
import type { Daemon } from '../engine/create-daemon.ts';
import { checkFormat } from '../engine/data-format.ts';
import { closeInherited } from '../engine/inherited-descriptors.ts';
import { packageVersion } from '../engine/package-root.ts';
import { settingsWithOrigins } from '../engine/read-settings.ts';
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
  check?: boolean;
  tasks?: string;
  stopTasks?: boolean;
  capacityCpu?: string;
  capacityMem?: string;
}

export interface RunOptions {
  mode: Mode;
  logFile: ((dataDir: string) => string) | undefined;
  onStarted(daemon: Daemon): void;
  /** What SIGHUP means: to read again what can be, or that the terminal is gone and with it who looks at this. */
  onHangup: 'reload' | 'end';
}

/** Runs a daemon until it is interrupted, or was asked to end over its API; says which. */
export async function runDaemon(
  flags: DaemonFlags,
  options: RunOptions,
  context: CliContext,
): Promise<'interrupted' | 'asked'> {
  // First of all: from the next line on there are descriptors of our own.
  closeInherited();
  // Loaded here, so that a command that only asks a cluster sitter something does not load a whole daemon.
  const { createDaemon } = await import('../engine/create-daemon.ts');
  const { settings, origins } = settingsOf(flags);
  const stop = new AbortController();
  const daemon = await createDaemon({
    mode: options.mode,
    settings,
    origins,
    pluginsFile: flags.plugins,
    logFile: options.logFile?.(settings.data_dir),
    portFallback: flags.portFallback ?? false,
    onStopRequested: () => stop.abort(),
  });
  // Before the start already: a signal that comes then must not end the daemon.
  const gone = new AbortController();
  const offHangup = context.onHangup(() => {
    if (options.onHangup === 'end') gone.abort();
    else void daemon.reload();
  });
  try {
    await daemon.start();
  } catch (error) {
    offHangup();
    throw error;
  }
  try {
    options.onStarted(daemon);
    const signal = AbortSignal.any([context.interrupted, gone.signal, stop.signal]);
    if (!signal.aborted)
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    const ended = stop.signal.aborted ? 'asked' : 'interrupted';
    if (ended === 'interrupted' && settings.stop_tasks) await daemon.endTasks();
    return ended;
  } finally {
    offHangup();
    await daemon.stop();
  }
}

function settingsOf(flags: DaemonFlags): ReturnType<typeof settingsWithOrigins> {
  return settingsWithOrigins(flags.settings, {
    ...(flags.dataDir !== undefined && { data_dir: flags.dataDir }),
    ...(flags.host !== undefined && { host: flags.host }),
    ...(flags.port !== undefined && { port: portOf(flags.port) }),
    ...(flags.tasksGroup !== undefined && { tasks_group: flags.tasksGroup }),
    ...(flags.tasks !== undefined && { tasks_file: flags.tasks }),
    ...(flags.stopTasks !== undefined && { stop_tasks: flags.stopTasks }),
    ...(flags.capacityCpu !== undefined && { capacity_cpu: amountOf('--capacity-cpu', flags.capacityCpu) }),
    ...(flags.capacityMem !== undefined && { capacity_mem: amountOf('--capacity-mem', flags.capacityMem) }),
    ...(flags.logLevel !== undefined && { log_level: flags.logLevel as 'info' }),
  });
}

/** `--check`: finds out what would keep a daemon from starting, as far as that shows without starting anything. */
async function checkDaemon(flags: DaemonFlags, mode: Mode, context: CliContext): Promise<void> {
  const { createDaemon } = await import('../engine/create-daemon.ts');
  const { settings } = settingsOf(flags);
  checkFormat(resolve(settings.data_dir));
  await createDaemon({
    mode,
    settings,
    pluginsFile: flags.plugins,
    logFile: undefined,
    portFallback: flags.portFallback ?? false,
    onStopRequested: () => undefined,
  });
  context.out(`cerebro ${packageVersion}: flags, settings and plugins of this ${mode} sitter are as they should be`);
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535)
    throw new CerebroError('usage', `--port: "${text}" is not a port (0 to 65535)`);
  return port;
}

function amountOf(flag: string, text: string): number {
  const amount = Number(text);
  if (text.trim() === '' || !(amount >= 0))
    throw new CerebroError('usage', `${flag}: expected a number, got "${text}"`);
  return amount;
}

/** `cerebro --mode machine|cluster`. */
export async function modeCommand(flags: DaemonFlags, context: CliContext): Promise<void> {
  const { mode } = flags;
  if (mode !== 'machine' && mode !== 'cluster')
    throw new CerebroError('usage', `--mode: "${mode}" is neither machine nor cluster`);
  if (flags.check) return checkDaemon(flags, mode, context);
  if (flags.daemon) return daemonize(flags, context);
  const started = (daemon: Daemon): void => {
    context.err(`cerebro: the ${mode} sitter listens on ${daemon.url}`);
    context.err('cerebro: a browser signs in there with the token in the file admin.token of the data folder');
  };
  await runDaemon(flags, { mode, logFile: undefined, onStarted: started, onHangup: 'reload' }, context);
}
