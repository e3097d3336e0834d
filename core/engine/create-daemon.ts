import { join, resolve } from 'node:path';
import type { Daemon, DaemonOptions } from './daemon.ts';
import { loadPlugins } from './load-plugins.ts';
import { loadModeParts } from './mode-parts.ts';
import { packageRoot } from './package-root.ts';
import { wire } from './wire.ts';
import { WiredDaemon } from './wired-daemon.ts';

export type { Daemon, DaemonOptions } from './daemon.ts';

/** Reads the plugins and wires a daemon. Nothing listens and nothing runs before `start`. */
export async function createDaemon(options: DaemonOptions): Promise<Daemon> {
  const loaded = await loadPlugins(resolve(options.pluginsFile ?? join(packageRoot, 'plugins.json')), options.mode);
  const container = wire(options, loaded, await loadModeParts(options.mode));
  return new WiredDaemon(container.cradle, options);
}
