import { accessSync, constants, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** What a peer is to keep running: one line of a shell, under a name of letters, digits and `-`. */
export interface PeerTask {
  name: string;
  command: string;
}

/** A supervisor that has been started, with its tasks. */
export interface Running {
  /** The process that everything else of it comes from. */
  readonly daemon: number;
  /** A file that those of its processes run which do not descend from the daemon. */
  readonly helper?: string;
  /** What a reader of its figures should know of it on this host. */
  readonly remark?: string;
  /** The folder that the task's output ends up in. */
  logFolder(task: string): string;
  /** Ends the supervisor, its tasks and whatever else it has started. */
  stop(): Promise<void>;
}

/** A supervisor in one way of setting it up. */
export interface Peer {
  /** The row that it has in the tables. */
  readonly name: string;
  /** What has to be on PATH; null: comes with this program. */
  readonly program: string | null;
  /** Starts it in a new folder, which gets nothing else in it; resolves when it has been told of the tasks. */
  start(folder: string, tasks: readonly PeerTask[]): Promise<Running>;
}

/** Where the program is; undefined where it is not installed. */
export function onPath(program: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

export function isInstalled(peer: Peer): boolean {
  return peer.program === null || onPath(peer.program) !== undefined;
}

/** Starts the peer in a new folder, and ends it and removes the folder however `body` ends. */
export async function withPeer<T>(
  peer: Peer,
  folder: string,
  tasks: readonly PeerTask[],
  body: (running: Running) => Promise<T>,
): Promise<T> {
  mkdirSync(folder);
  const running = await peer.start(folder, tasks);
  try {
    return await body(running);
  } finally {
    await running.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

export interface PeerFolders {
  /** Each task's logs are in a folder of their own below this one. */
  logs: string;
  /** Where each task's script is. */
  scripts: string;
}

/** Folders and one bash script a task: what every peer can be told to run, with no quoting of its own in between. */
export function writeScripts(folder: string, tasks: readonly PeerTask[]): PeerFolders {
  const logs = join(folder, 'logs');
  const scripts = join(folder, 'scripts');
  mkdirSync(scripts, { recursive: true });
  for (const task of tasks) {
    mkdirSync(join(logs, task.name), { recursive: true });
    writeScript(join(scripts, task.name), [task.command]);
  }
  return { logs, scripts };
}

/** bash, because that is what Cerebro and the bare parent run a command by. */
export function writeScript(path: string, lines: readonly string[]): void {
  writeFileSync(path, `#!/bin/bash\n${lines.join('\n')}\n`, { mode: 0o755 });
}
