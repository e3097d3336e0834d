import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Peer, type PeerFolders, type PeerTask, writeScripts } from './peer.ts';
import { endDaemon, pidOf, spawnDaemon } from './processes.ts';

/**
 * supervisord: one process for everything, the logs too. `startsecs` is how long a program must run to count as started, 1 by
 * default; 0 is the least, and then no end of it counts as a failed start, after which it would pause. Its loop turns once a second.
 */
export function supervisord(name: string, { startsecs }: { startsecs?: number } = {}): Peer {
  return {
    name,
    program: 'supervisord',
    async start(folder, tasks) {
      const folders = writeScripts(folder, tasks);
      const file = join(folder, 'supervisord.conf');
      writeFileSync(
        file,
        [main(folder, tasks.length), ...tasks.map((task) => program(task, folders, startsecs))].join(''),
      );
      const daemon = pidOf(spawnDaemon('supervisord', ['-n', '-c', file], folder));
      return {
        daemon,
        logFolder: (task) => join(folders.logs, task),
        stop: () => endDaemon(daemon, 'SIGTERM', folder),
      };
    },
  };
}

/** Four descriptors a program: two pipes, two logs. */
function main(folder: string, tasks: number): string {
  return `[supervisord]
logfile=${join(folder, 'supervisord.log')}
pidfile=${join(folder, 'supervisord.pid')}
minfds=${Math.max(1024, 4 * tasks + 200)}
`;
}

/** Never rotated, as a log of Cerebro is not, and so that its size is that of what was written. */
function program({ name }: PeerTask, { logs, scripts }: PeerFolders, startsecs?: number): string {
  return `
[program:${name}]
command=/bin/bash ${join(scripts, name)}
autorestart=true
stdout_logfile=${join(logs, name, 'stdout')}
stdout_logfile_maxbytes=0
stderr_logfile=${join(logs, name, 'stderr')}
stderr_logfile_maxbytes=0
${startsecs === undefined ? '' : `startsecs=${startsecs}\n`}`;
}
