import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Peer, type PeerTask, writeScripts } from './peer.ts';
import { endDaemon, endMarked, FOLDER_MARK } from './processes.ts';

/**
 * PM2: one Node daemon for everything, the logs too, in a home of its own. It restarts at once by default (`restart_delay: 0`).
 * `memoryLimit` is its --max-memory-restart, like "100M".
 */
export function pm2(name: string, { memoryLimit }: { memoryLimit?: string } = {}): Peer {
  return {
    name,
    program: 'pm2',
    async start(folder, tasks) {
      const { logs, scripts } = writeScripts(folder, tasks);
      const app = (task: PeerTask): Record<string, unknown> => ({
        name: task.name,
        script: '/bin/bash',
        args: [join(scripts, task.name)],
        interpreter: 'none',
        out_file: join(logs, task.name, 'stdout'),
        error_file: join(logs, task.name, 'stderr'),
        merge_logs: true,
        ...(memoryLimit !== undefined && { max_memory_restart: memoryLimit }),
      });
      const file = join(folder, 'ecosystem.json');
      writeFileSync(file, JSON.stringify({ apps: tasks.map(app) }));
      try {
        // `ping` starts the daemon and nothing else.
        await command(folder, tasks.length === 0 ? ['ping'] : ['start', file]);
        const daemon = Number(readFileSync(join(homeOf(folder), 'pm2.pid'), 'utf8'));
        return {
          daemon,
          logFolder: (task) => join(logs, task),
          stop: () => endDaemon(daemon, 'SIGTERM', folder),
        };
      } catch (error) {
        // Its daemon detaches itself, so there may be one although the command has failed.
        await endMarked(folder);
        throw error;
      }
    },
  };
}

function homeOf(folder: string): string {
  return join(folder, 'pm2');
}

async function command(folder: string, args: readonly string[]): Promise<void> {
  const env = { ...process.env, PM2_HOME: homeOf(folder), [FOLDER_MARK]: folder };
  const child = spawn('pm2', args, { env, cwd: folder, detached: true, stdio: 'ignore' });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`pm2 ${args.join(' ')} ended with ${code}`);
}
