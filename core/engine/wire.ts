import { resolve } from 'node:path';
import { type AwilixContainer, asFunction, asValue, createContainer } from 'awilix';
import pino from 'pino';
import type { Logger } from '../contracts/logger.ts';
import type { PluginServices } from '../define-plugin.ts';
import { Auth } from '../http/doors/auth.ts';
import { ProcTable } from '../machine/proc-table.ts';
import type { Cradle, Registrations, SharedName } from './cradle.ts';
import { type DaemonOptions, DEFAULT_PORT } from './daemon.ts';
import { DataFolder } from './data-folder.ts';
import { createPlugins, type LoadedPlugin } from './load-plugins.ts';
import { logDestination } from './log-destination.ts';
import type { ModeParts } from './mode-parts.ts';
import { packageRoot, selfCommand } from './package-root.ts';
import { watchPlugins } from './plugin-views.ts';
import { SystemClock } from './system-clock.ts';

/** Registers everything that a daemon is made from; nothing is made before it is asked for. */
export function wire(
  options: DaemonOptions,
  loaded: readonly LoadedPlugin[],
  parts: ModeParts,
): AwilixContainer<Cradle> {
  const container = createContainer<Cradle>({ strict: true });
  const dataDir = resolve(options.settings.data_dir);
  const shared: Registrations<SharedName> = {
    mode: asValue(options.mode),
    settings: asValue(options.settings),
    origins: asValue(options.origins),
    dataDir: asValue(dataDir),
    requestStop: asValue(options.onStopRequested),
    readiness: asValue({ ready: false }),
    clock: asFunction(() => new SystemClock()).singleton(),
    processes: asFunction(() => new ProcTable()).singleton(),
    dataFolder: asFunction(({ processes }: Cradle) => new DataFolder(dataDir, processes)).singleton(),
    pino: asFunction(({ dataFolder }: Cradle) => {
      // The log is in it, and pino would make a folder that everybody may look into.
      if (options.logFile !== undefined) dataFolder.make();
      return pino(
        { level: options.settings.log_level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
        logDestination(options.logFile),
      );
    }).singleton(),
    logger: asFunction(({ pino }: Cradle): Logger => pino).singleton(),
    plugins: asFunction((cradle: Cradle) =>
      watchPlugins(
        createPlugins(loaded, (id) => pluginServices(cradle, options, parts, id)),
        cradle.clock,
      ),
    ).singleton(),
    auth: asFunction((cradle: Cradle) => {
      const { dataFolder, mode, settings } = cradle;
      const name = `${mode}_${settings.port || DEFAULT_PORT[mode]}`;
      return new Auth({
        token: dataFolder.adminToken(),
        sessionKey: dataFolder.sessionKey(),
        name,
        ...(parts.holders && { holders: parts.holders(cradle) }),
      });
    }).singleton(),
    app: asFunction((cradle: Cradle) => parts.app(cradle)).singleton(),
    httpServer: asFunction((cradle: Cradle) => parts.server(cradle)).singleton(),
  };
  container.register(shared);
  parts.register(container, dataDir);
  return container;
}

function pluginServices(cradle: Cradle, options: DaemonOptions, parts: ModeParts, id: string): PluginServices {
  return {
    clock: cradle.clock,
    logger: cradle.pino.child({ plugin: id }),
    processes: cradle.processes,
    dataDir: cradle.dataDir,
    identities: parts.identities(cradle),
    tasksGroup: cradle.settings.tasks_group,
    recipePath: [
      ...new Set([process.cwd(), ...cradle.settings.recipe_path.map((folder) => resolve(folder)), packageRoot]),
    ],
    selfCommand: selfCommand(options.pluginsFile === undefined ? undefined : resolve(options.pluginsFile)),
  };
}
