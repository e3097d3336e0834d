import { join } from 'node:path';
import { BenchDaemon } from '../bench-daemon.ts';
import { type Peer, type PeerTask, type Running, writeScripts } from './peer.ts';
import { endDaemon, endMarked, FOLDER_MARK, pidOf } from './processes.ts';

interface Options {
  /** MB that each task is held to. */
  mem?: number;
  /** No pause before any restart; without it the default: none before the first in a minute, then 1 s, 2 s, ... */
  noPause?: boolean;
  /** What the log of a run may become before older lines go; without it the default. */
  logBytes?: number;
}

/** A machine sitter of the compiled program: one Node daemon, and between it and each task the shim, a small shell. */
export function cerebro(name: string, options: Options = {}): Peer {
  return {
    name,
    program: null,
    async start(folder, tasks) {
      const { logs } = writeScripts(folder, tasks);
      const args = ['--port', '0', '--port-fallback', '--capacity-cpu', '10000', '--capacity-mem', '10000000'];
      const env = { ...process.env, [FOLDER_MARK]: folder };
      const daemon = new BenchDaemon('machinesitter', args, join(folder, 'data'), env);
      try {
        await daemon.ready();
        for (const task of tasks) await put(daemon, task, configurationOf(task, folder, logs, options));
      } catch (error) {
        daemon.child.kill('SIGKILL');
        await endMarked(folder);
        throw error;
      }
      return running(daemon, folder, logs, await enforcerOf(daemon));
    },
  };
}

function running(daemon: BenchDaemon, folder: string, logs: string, enforcer: string): Running {
  return {
    daemon: pidOf(daemon.child),
    helper: join(daemon.dataDir, 'shim.sh'),
    remark: `Cerebro holds limits by its enforcer "${enforcer}" on this host`,
    logFolder: (task) => join(logs, task),
    async stop() {
      // The tasks outlive their sitter unless they are suspended with it; one that has ended by itself has left them.
      if (!daemon.ended) await daemon.callJson('POST', '/api/v1/suspend', {}).catch(() => undefined);
      await endDaemon(pidOf(daemon.child), 'SIGTERM', folder);
    },
  };
}

async function enforcerOf(daemon: BenchDaemon): Promise<string> {
  const machine = (await daemon.call('GET', '/api/v1/machine')) as { enforcer: string };
  return machine.enforcer;
}

async function put(daemon: BenchDaemon, { name }: PeerTask, configuration: Record<string, unknown>): Promise<void> {
  const definition = { id: name, job: name, version: 1, configuration };
  await daemon.callJson('PUT', `/api/v1/tasks/${name}`, { definition, start: true });
}

function configurationOf(
  { name, command }: PeerTask,
  folder: string,
  logs: string,
  { mem, noPause, logBytes }: Options,
): Record<string, unknown> {
  return {
    name,
    command,
    ensure_alive: true,
    env: { [FOLDER_MARK]: folder },
    stdout_location: join(logs, name),
    stderr_location: join(logs, name),
    ...(noPause && { backoff: { first: 0, then: 0, factor: 1, max: 0, reset_after: 0 } }),
    ...(mem !== undefined && { mem }),
    ...(logBytes !== undefined && { logs: { max_bytes: logBytes } }),
  };
}
