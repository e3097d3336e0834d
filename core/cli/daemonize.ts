import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, mkdirSync, openSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DataFolder } from '../engine/data-folder.ts';
import { selfCommand } from '../engine/package-root.ts';
import { readSettings } from '../engine/read-settings.ts';
import { CerebroError } from '../errors.ts';
import { ProcTable } from '../machine/proc-table.ts';
import type { SitterFile } from '../model/sitter-file.ts';
import type { CliContext } from './context.ts';
import type { DaemonFlags } from './daemon.ts';
import { LOG_FILE, lastWords } from './last-words.ts';

const START_DEADLINE_MS = 120_000;
const LOOK_MS = 50;

/**
 * `--daemon`: starts this program again in a session of its own, and returns when that one answers. Throws what it said when it
 * did not come to that.
 */
export async function daemonize(flags: DaemonFlags, context: CliContext): Promise<void> {
  const settings = readSettings(flags.settings, flags.dataDir === undefined ? {} : { data_dir: flags.dataDir });
  const dataDir = resolve(settings.data_dir);
  const folder = new DataFolder(dataDir, new ProcTable());
  refuseSecond(dataDir, folder.holder());
  const logFile = join(dataDir, LOG_FILE);
  const { child, said } = start(flagsOf(flags, dataDir), logFile, dataDir);
  const sitter = await answering(child, folder, { logFile, said }, context.interrupted);
  context.out(`cerebro: the ${sitter.mode} sitter runs as pid ${sitter.pid} on ${sitter.url}; its log is ${logFile}`);
}

function refuseSecond(dataDir: string, holder: SitterFile | undefined): void {
  if (!holder) return;
  const where = holder.url === '' ? '' : `, at ${holder.url}`;
  throw new CerebroError('conflict', `${dataDir} is in use by a daemon already (pid ${holder.pid}${where})`);
}

/** The same flags again, without --daemon, and with no path that depends on where one stands. */
function flagsOf(flags: DaemonFlags, dataDir: string): string[] {
  const { mode, host, port, settings, logLevel, tasksGroup, tasks, stopTasks, capacityCpu, capacityMem } = flags;
  const given: [string, string | undefined][] = [
    ['--mode', mode],
    ['--data-dir', dataDir],
    ['--host', host],
    ['--port', port],
    ['--settings', settings === undefined ? undefined : resolve(settings)],
    ['--log-level', logLevel],
    ['--tasks-group', tasksGroup],
    ['--tasks', tasks === undefined ? undefined : resolve(tasks)],
    ['--capacity-cpu', capacityCpu],
    ['--capacity-mem', capacityMem],
  ];
  const words = given.flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
  const [, ...program] = selfCommand(flags.plugins === undefined ? undefined : resolve(flags.plugins));
  const switches = [...(flags.portFallback ? ['--port-fallback'] : []), ...(stopTasks ? ['--stop-tasks'] : [])];
  return [...program, ...words, ...switches];
}

/** `said`: where its words begin in the log, in bytes. */
function start(argv: readonly string[], logFile: string, dataDir: string): { child: ChildProcess; said: number } {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const log = openSync(logFile, 'a', 0o600);
  try {
    const said = fstatSync(log).size;
    const child = spawn(process.execPath, argv, { detached: true, stdio: ['ignore', log, log] });
    child.unref();
    return { child, said };
  } finally {
    closeSync(log);
  }
}

async function answering(
  child: ChildProcess,
  folder: DataFolder,
  { logFile, said }: { logFile: string; said: number },
  interrupted: AbortSignal,
): Promise<SitterFile> {
  let failure: Error | null = null;
  child.once('error', (error) => {
    failure = error;
  });
  for (let waited = 0; waited < START_DEADLINE_MS; waited += LOOK_MS) {
    const holder = folder.holder();
    if (holder?.pid === child.pid && holder?.url) return holder;
    if (failure) throw new CerebroError('unavailable', `the daemon could not be started: ${String(failure)}`);
    if (child.exitCode !== null || child.signalCode !== null)
      throw new CerebroError(
        'unavailable',
        `the daemon ended at once: ${lastWords(logFile, said)} (all of it: ${logFile})`,
      );
    if (interrupted.aborted)
      throw new CerebroError('unavailable', `interrupted; the daemon, pid ${child.pid}, goes on`);
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
  throw new CerebroError(
    'timeout',
    `the daemon, pid ${child.pid}, does not answer after ${START_DEADLINE_MS / 1000} s; its log is ${logFile}`,
  );
}
