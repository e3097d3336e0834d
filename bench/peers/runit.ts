import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Peer, writeScript, writeScripts } from './peer.ts';
import { endDaemon, pidOf, spawnDaemon } from './processes.ts';

/**
 * runit: runsvdir, a runsv for each service, and a svlogd for each where `logger` says so; without one the output of a service
 * goes to that of runsvdir. It has nothing to set for its pause, which is a second for a service that ran for less than one.
 */
export function runit(name: string, { logger = false } = {}): Peer {
  return {
    name,
    program: 'runsvdir',
    async start(folder, tasks) {
      const { logs, scripts } = writeScripts(folder, tasks);
      const services = join(folder, 'services');
      mkdirSync(services);
      for (const task of tasks) {
        const service = join(services, task.name);
        mkdirSync(service);
        writeScript(join(service, 'run'), ['exec 2>&1', `. '${join(scripts, task.name)}'`]);
        if (logger) addLogger(service, join(logs, task.name));
      }
      const daemon = pidOf(spawnDaemon('runsvdir', [services], folder));
      return {
        daemon,
        logFolder: (task) => join(logs, task),
        // On SIGHUP it ends its runsv processes, on SIGTERM it would leave them.
        stop: () => endDaemon(daemon, 'SIGHUP', folder),
      };
    },
  };
}

/** Never rotated, as a log of Cerebro is not, and so that its size is that of what was written. */
function addLogger(service: string, logs: string): void {
  mkdirSync(join(service, 'log'));
  writeFileSync(join(logs, 'config'), 's0\nn0\n');
  writeScript(join(service, 'log', 'run'), [`exec svlogd '${logs}'`]);
}
