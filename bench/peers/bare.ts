import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Peer, writeScript, writeScripts } from './peer.ts';
import { endDaemon, FOLDER_MARK, pidOf, spawnDaemon } from './processes.ts';

const PARENT = fileURLToPath(new URL('../bare-parent.js', import.meta.url));

/** The floor of a restart: a Node process that spawns the command again on `exit`, and does nothing else. It takes one task. */
export function bareParent(): Peer {
  return {
    name: 'bare Node parent (floor)',
    program: null,
    async start(folder, tasks) {
      const { logs } = writeScripts(folder, tasks);
      const daemon = pidOf(spawnDaemon(process.execPath, [PARENT, tasks[0]?.command ?? ''], folder));
      return {
        daemon,
        logFolder: (task) => join(logs, task),
        stop: () => endDaemon(daemon, 'SIGTERM', folder),
      };
    },
  };
}

/** The floor of what sleeps: a shell that starts all commands and waits for them. */
export function bareShell(): Peer {
  return {
    name: 'a bare shell (floor)',
    program: null,
    async start(folder, tasks) {
      const { logs, scripts } = writeScripts(folder, tasks);
      const starts = tasks.map(({ name }) => `'${join(scripts, name)}' &`);
      writeScript(join(folder, 'all'), [...starts, 'wait', 'exec sleep 1000000']);
      const daemon = pidOf(spawnDaemon('/bin/bash', [join(folder, 'all')], folder));
      return { daemon, logFolder: (task) => join(logs, task), stop: () => endDaemon(daemon, 'SIGKILL', folder) };
    },
  };
}

/** The floor of a log: the command with a file as its standard output, and nobody who watches it. It takes one task. */
export function alone(): Peer {
  return {
    name: 'the command alone, into a file (floor)',
    program: null,
    async start(folder, tasks) {
      const { logs } = writeScripts(folder, tasks);
      const [task] = tasks;
      if (!task) throw new Error('there is no command to run');
      const file = openSync(join(logs, task.name, 'stdout'), 'a');
      const child = spawn('/bin/bash', ['-c', task.command], {
        env: { ...process.env, [FOLDER_MARK]: folder },
        detached: true,
        stdio: ['ignore', file, 'ignore'],
      });
      closeSync(file);
      const daemon = pidOf(child);
      return { daemon, logFolder: (name) => join(logs, name), stop: () => endDaemon(daemon, 'SIGTERM', folder) };
    },
  };
}
