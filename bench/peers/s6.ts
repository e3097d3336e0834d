import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Peer, writeScript, writeScripts } from './peer.ts';
import { endDaemon, pidOf, spawnDaemon } from './processes.ts';

/** The largest that a file of s6-log may be. It cannot be told not to rotate. */
const LARGEST_LOG = 268_435_455;

/**
 * s6: s6-svscan, an s6-supervise for each service, and for each `logger` another with its s6-log. s6-supervise waits a second
 * before each restart, unless the service had said a second ago or earlier that it is ready: with `ready` it says so at once.
 */
export function s6(name: string, { logger = false, ready = false } = {}): Peer {
  return {
    name,
    program: 's6-svscan',
    async start(folder, tasks) {
      const { logs, scripts } = writeScripts(folder, tasks);
      const services = join(folder, 'services');
      mkdirSync(services);
      for (const task of tasks) {
        const service = join(services, task.name);
        mkdirSync(service);
        const notify = ready ? ['echo >&3', 'exec 3>&-'] : [];
        writeScript(join(service, 'run'), ['exec 2>&1', ...notify, `. '${join(scripts, task.name)}'`]);
        if (ready) writeFileSync(join(service, 'notification-fd'), '3\n');
        if (logger) addLogger(service, join(logs, task.name));
      }
      // By default it takes 500 services.
      const most = String(Math.max(500, tasks.length + 1));
      const daemon = pidOf(spawnDaemon('s6-svscan', ['-c', most, services], folder));
      return {
        daemon,
        logFolder: (task) => join(logs, task),
        stop: () => endDaemon(daemon, 'SIGTERM', folder),
      };
    },
  };
}

function addLogger(service: string, logs: string): void {
  mkdirSync(join(service, 'log'));
  writeScript(join(service, 'log', 'run'), [`exec s6-log n20 s${LARGEST_LOG} '${logs}'`]);
}
