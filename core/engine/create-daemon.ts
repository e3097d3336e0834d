import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { type AwilixContainer, asFunction, asValue, createContainer } from 'awilix';
import pino from 'pino';
import { ClusterSitter } from '../cluster/cluster-sitter.ts';
import type { Logger } from '../contracts/logger.ts';
import type { Mode, PluginServices } from '../define-plugin.ts';
import { CerebroError } from '../errors.ts';
import { Auth, type TokenHolders } from '../http/auth.ts';
import { backupRoute } from '../http/backup-route.ts';
import { clusterMetricsRoute } from '../http/cluster-metrics.ts';
import { clusterRoutes } from '../http/cluster-routes.ts';
import { daemonApp } from '../http/daemon-app.ts';
import { dnsRoutes } from '../http/dns-routes.ts';
import { historyRoutes } from '../http/history-routes.ts';
import { HttpServer } from '../http/http-server.ts';
import { clusterLogRoute } from '../http/log-route.ts';
import { MachineDoor } from '../http/machine-door.ts';
import { machineMetricsRoute } from '../http/machine-metrics.ts';
import { machineRoutes } from '../http/machine-routes.ts';
import { type PagedApi, Pages, type PagesParts } from '../http/pages.ts';
import { settingRoutes } from '../http/setting-routes.ts';
import { tokenRoutes } from '../http/token-routes.ts';
import { vitalsRoutes } from '../http/vitals-routes.ts';
import { offeredRoom } from '../machine/capacity.ts';
import { MachineSitter } from '../machine/machine-sitter.ts';
import { OomShield } from '../machine/oom-shield.ts';
import { OwnIdentity } from '../machine/own-identity.ts';
import { ProcTable } from '../machine/proc-table.ts';
import { ServedMachine } from '../machine/served-machine.ts';
import { TasksFile } from '../machine/tasks-file.ts';
import { Vitals } from '../machine/vitals.ts';
import type { SettingOrigins } from '../model/setting-view.ts';
import type { Settings } from '../model/settings.ts';
import { ChosenEnforcer } from './chosen-enforcer.ts';
import type { Cradle, Registrations } from './cradle.ts';
import { DataFolder } from './data-folder.ts';
import { Lifecycle } from './lifecycle.ts';
import { createPlugins, type LoadedPlugin, loadPlugins, type PluginInstance, pluginsFor } from './load-plugins.ts';
import { noIdentities } from './no-identities.ts';
import { packageRoot, packageVersion, selfCommand } from './package-root.ts';
import { pluginViews, watchPlugins } from './plugin-views.ts';
import { SystemClock } from './system-clock.ts';

export interface DaemonOptions {
  mode: Mode;
  settings: Settings;
  /** Where they came from; absent: nobody asks. */
  origins?: SettingOrigins;
  /** Another list of plugins than the package's own. */
  pluginsFile: string | undefined;
  /** Where the daemon's own log goes: a file, or standard error. */
  logFile: string | undefined;
  /** Take any free port when the wanted one is taken. */
  portFallback: boolean;
  /** Called once, when the daemon is to end for a reason of its own (`down`, `suspend`). */
  onStopRequested: () => void;
}

/** A daemon in one of its modes: the same engine, plugins, HTTP and files; another heart. */
export interface Daemon {
  /** Starts everything, in order; stops what was started and throws when a part cannot. */
  start(): Promise<void>;
  /** Stops everything in reverse; tasks run on. */
  stop(): Promise<void>;
  /** Reads again what can be changed while it runs (SIGHUP): the file of tasks of a machine sitter. */
  reload(): Promise<void>;
  /** Ends the tasks of a machine sitter in order, to be started again by its next start. */
  endTasks(): Promise<void>;
  readonly url: string;
  /** The link that signs a browser in. */
  readonly signInUrl: string;
  readonly adminToken: string;
}

/** How old the figures on a page of the dashboard may be, in milliseconds. */
const KEEP_PAGES_MS = 1000;

const DEFAULT_PORT: Record<Mode, number> = { cluster: 30_000, machine: 40_000 };

/** Reads the plugins and wires a daemon. Nothing listens and nothing runs before `start`. */
export async function createDaemon(options: DaemonOptions): Promise<Daemon> {
  const loaded = await loadPlugins(resolve(options.pluginsFile ?? join(packageRoot, 'plugins.json')), options.mode);
  const container = wire(options, loaded);
  return new WiredDaemon(container.cradle, options);
}

function wire(options: DaemonOptions, loaded: readonly LoadedPlugin[]): AwilixContainer<Cradle> {
  const container = createContainer<Cradle>({ strict: true });
  const dataDir = resolve(options.settings.data_dir);
  const registrations: Registrations = {
    mode: asValue(options.mode),
    settings: asValue(options.settings),
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
        pino.destination(
          options.logFile === undefined
            ? { dest: 2, sync: true }
            : { dest: options.logFile, sync: true, mkdir: true, mode: 0o600 },
        ),
      );
    }).singleton(),
    logger: asFunction(({ pino }: Cradle): Logger => pino).singleton(),
    plugins: asFunction((cradle: Cradle) =>
      watchPlugins(
        createPlugins(loaded, (id) => pluginServices(cradle, options, id)),
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
        ...(mode === 'cluster' && { holders: tokenHoldersOf(cradle) }),
      });
    }).singleton(),
    app: asFunction((cradle: Cradle) =>
      cradle.mode === 'machine' ? machineApp(cradle) : clusterApp(cradle),
    ).singleton(),
    httpServer: asFunction((cradle: Cradle) =>
      cradle.mode === 'machine' ? machineServer(cradle) : new HttpServer(cradle.app),
    ).singleton(),

    enforcer: asFunction(
      ({ plugins, settings, logger }: Cradle) =>
        new ChosenEnforcer(pluginsFor(plugins, 'limit-enforcer'), settings.enforcer, logger),
    ).singleton(),
    machineSitter: asFunction(
      ({ enforcer, clock, logger, processes, settings, oomShield }: Cradle) =>
        new MachineSitter({
          dataDir,
          enforcer,
          clock,
          logger,
          processes,
          oomShield,
          offered: offeredRoom(settings),
          tasksGroup: settings.tasks_group || undefined,
        }),
    ).singleton(),

    vitals: asFunction(
      ({ machineSitter: sitter, clock, logger }: Cradle) => new Vitals({ dataDir, sitter, clock, logger }),
    ).singleton(),
    servedMachine: asFunction(
      ({ machineSitter: sitter, vitals, tasksFile, enforcer }: Cradle) =>
        new ServedMachine({ version: packageVersion, sitter, vitals, tasksFile, enforcer }),
    ).singleton(),
    machinePages: asFunction(
      (cradle: Cradle) => new Pages(pagesParts(cradle, pluginsFor(cradle.plugins, 'machine-ui'), cradle.servedMachine)),
    ).singleton(),
    ownIdentity: asFunction(
      ({ clock, logger }: Cradle) => new OwnIdentity({ folder: dataDir, clock, logger }),
    ).singleton(),
    tasksFile: asFunction(
      ({ settings, machineSitter, logger }: Cradle) =>
        new TasksFile({
          path: settings.tasks_file === undefined ? undefined : resolve(settings.tasks_file),
          dataDir,
          sitter: machineSitter,
          logger,
        }),
    ).singleton(),
    oomShield: asFunction(({ logger }: Cradle) => new OomShield(logger)).singleton(),

    store: asFunction(({ plugins }: Cradle) => onlyOne(plugins)).singleton(),
    clusterSitter: asFunction(
      ({ settings, store, plugins, clock, logger, pino }: Cradle) =>
        new ClusterSitter({
          settings,
          store,
          providers: pluginsFor(plugins, 'machine-provider'),
          dnsProviders: pluginsFor(plugins, 'dns-provider'),
          recipeLoaders: pluginsFor(plugins, 'recipe-loader'),
          notifiers: pluginsFor(plugins, 'notifier'),
          origins: options.origins,
          plugins: (zones) => pluginViews(plugins, zones),
          setLogLevel: (level) => {
            pino.level = level;
          },
          version: packageVersion,
          clock,
          logger,
        }),
    ).singleton(),
    pages: asFunction(
      (cradle: Cradle) =>
        new Pages({
          ...pagesParts(cradle, pluginsFor(cradle.plugins, 'ui'), cradle.clusterSitter),
          keepMs: KEEP_PAGES_MS,
        }),
    ).singleton(),
  };
  container.register(registrations);
  return container;
}

function pluginServices(cradle: Cradle, options: DaemonOptions, id: string): PluginServices {
  return {
    clock: cradle.clock,
    logger: cradle.pino.child({ plugin: id }),
    processes: cradle.processes,
    dataDir: cradle.dataDir,
    identities: cradle.mode === 'cluster' ? identitiesOf(cradle) : noIdentities,
    tasksGroup: cradle.settings.tasks_group,
    recipePath: [
      ...new Set([process.cwd(), ...cradle.settings.recipe_path.map((folder) => resolve(folder)), packageRoot]),
    ],
    selfCommand: selfCommand(options.pluginsFile === undefined ? undefined : resolve(options.pluginsFile)),
  };
}

/** Asked with each request, when the cluster sitter is there. */
function tokenHoldersOf(cradle: Cradle): TokenHolders {
  return {
    holderOf: (token) => cradle.clusterSitter.tokens.holderOf(token),
    holder: (id) => cradle.clusterSitter.tokens.holder(id),
  };
}

/** The cluster sitter is made of plugins itself: it is looked for when it is asked, and not while they are created. */
function identitiesOf(cradle: Cradle): PluginServices['identities'] {
  return {
    issue: (machineId) => cradle.clusterSitter.identities.issue(machineId),
    greet: (machineId, endpoint) => cradle.clusterSitter.identities.greet(machineId, endpoint),
  };
}

function onlyOne(plugins: readonly PluginInstance[]): Cradle['store'] {
  const stores = plugins.filter((plugin) => plugin.point === 'state-store');
  const [store] = pluginsFor(plugins, 'state-store');
  if (!store || stores.length > 1) {
    throw new CerebroError(
      'plugin',
      `a cluster sitter needs one state-store, plugins.json lists ${stores.map((plugin) => plugin.id).join(', ') || 'none'}`,
    );
  }
  return store;
}

function pagesParts<Api extends PagedApi>(
  { auth, logger }: Cradle,
  plugins: PagesParts<Api>['plugins'],
  api: Api,
): PagesParts<Api> {
  return { plugins, api, auth, logger, templates: join(packageRoot, 'templates'), assets: assets() };
}

function assets(): PagesParts<PagedApi>['assets'] {
  const folder = join(packageRoot, 'templates', 'assets');
  const { resolve: find } = createRequire(import.meta.url);
  return {
    'app.css': { path: join(folder, 'app.css'), type: 'text/css' },
    'app.js': { path: join(folder, 'app.js'), type: 'text/javascript' },
    'log.js': { path: join(folder, 'log.js'), type: 'text/javascript' },
    'logs.js': { path: join(folder, 'logs.js'), type: 'text/javascript' },
    'log-stream.js': { path: join(folder, 'log-stream.js'), type: 'text/javascript' },
    'log-lines.js': { path: join(folder, 'log-lines.js'), type: 'text/javascript' },
    'log-search.js': { path: join(folder, 'log-search.js'), type: 'text/javascript' },
    'log-window.js': { path: join(folder, 'log-window.js'), type: 'text/javascript' },
    'ansi.js': { path: join(folder, 'ansi.js'), type: 'text/javascript' },
    'icon.svg': { path: join(folder, 'icon.svg'), type: 'image/svg+xml' },
    'htmx.min.js': { path: find('htmx.org/dist/htmx.min.js'), type: 'text/javascript' },
  };
}

function machineApp(cradle: Cradle): Cradle['app'] {
  const {
    machineSitter,
    vitals,
    machinePages: pages,
    enforcer,
    auth,
    logger,
    requestStop,
    readiness,
    ownIdentity,
    tasksFile,
  } = cradle;
  const about = { version: packageVersion, enforcer, identity: ownIdentity, vitals, tasksFile, suspend: requestStop };
  return daemonApp({
    title: 'Cerebro machine sitter',
    version: packageVersion,
    auth,
    logger,
    routes: [
      ...machineRoutes(machineSitter, about),
      ...vitalsRoutes(vitals),
      machineMetricsRoute(machineSitter, vitals, packageVersion),
    ],
    errorPage: (ctx, answer) => pages.errorPage(ctx, answer),
    before: [pages.middleware()],
    ready: () => readiness.ready,
  });
}

/** The certificate has been read by then: the server is made when it is to listen. */
function machineServer({ app, ownIdentity }: Cradle): HttpServer {
  const door = new MachineDoor(app.callback(), ownIdentity.current);
  ownIdentity.onChange((identity) => door.use(identity));
  return new HttpServer(app, door);
}

function clusterApp({ clusterSitter, auth, logger, pages, requestStop, readiness }: Cradle): Cradle['app'] {
  const down = (by: string): void => {
    clusterSitter
      .suspend(by)
      .catch((error: unknown) => logger.error({ err: error }, 'not everything could be stopped in order'))
      .finally(requestStop);
  };
  return daemonApp({
    title: 'Cerebro cluster sitter',
    version: packageVersion,
    auth,
    logger,
    routes: [
      ...clusterRoutes(clusterSitter, { down }),
      ...tokenRoutes(clusterSitter.tokens),
      ...settingRoutes(clusterSitter),
      ...dnsRoutes(clusterSitter),
      backupRoute(clusterSitter),
      clusterLogRoute(clusterSitter),
      ...historyRoutes(clusterSitter),
      clusterMetricsRoute(clusterSitter),
    ],
    errorPage: (ctx, answer) => pages.errorPage(ctx, answer),
    before: [pages.middleware()],
    ready: () => readiness.ready,
  });
}

class WiredDaemon implements Daemon {
  readonly #cradle: Cradle;
  readonly #options: DaemonOptions;
  readonly #lifecycle: Lifecycle;
  readonly #plugins: Lifecycle;
  #url = '';

  constructor(cradle: Cradle, options: DaemonOptions) {
    this.#cradle = cradle;
    this.#options = options;
    this.#lifecycle = new Lifecycle(cradle.logger);
    this.#plugins = new Lifecycle(cradle.logger);
    const { dataFolder, mode } = cradle;
    this.#lifecycle.add('data folder', {
      start: async () => dataFolder.take(mode),
      stop: async () => dataFolder.release(),
    });
    // The parts of the mode are resolved as they are started: their secrets and files are in a folder that must be ours first.
    if (mode === 'machine') this.#machineParts();
    else this.#clusterParts();
    this.#lifecycle.add('announcement', {
      start: async () => {
        cradle.readiness.ready = true;
        dataFolder.announce(mode, this.#url);
      },
      stop: async () => undefined,
    });
  }

  get url(): string {
    return this.#url;
  }

  get signInUrl(): string {
    return `${this.#url}${this.#cradle.auth.signInPath}`;
  }

  get adminToken(): string {
    return this.#cradle.dataFolder.adminToken();
  }

  start(): Promise<void> {
    return this.#lifecycle.start();
  }

  async reload(): Promise<void> {
    const { mode, tasksFile, logger } = this.#cradle;
    if (mode === 'machine') await tasksFile.reload('SIGHUP');
    else logger.info({ mode }, 'there is nothing to read again');
  }

  async endTasks(): Promise<void> {
    if (this.#cradle.mode === 'machine') await this.#cradle.machineSitter.suspend();
  }

  async stop(): Promise<void> {
    await this.#lifecycle.stop();
    this.#cradle.pino.flush();
  }

  #machineParts(): void {
    const cradle = this.#cradle;
    this.#lifecycle.add('certificate', {
      start: () => cradle.ownIdentity.start(),
      stop: () => cradle.ownIdentity.stop(),
    });
    this.#lifecycle.add('oom shield', {
      start: async () => cradle.oomShield.start(),
      stop: async () => cradle.oomShield.stop(),
    });
    this.#lifecycle.add('limit enforcer', { start: () => cradle.enforcer.start(), stop: () => cradle.enforcer.stop() });
    this.#lifecycle.add('machine sitter', {
      start: () => cradle.machineSitter.start(),
      stop: () => cradle.machineSitter.stop(),
    });
    this.#lifecycle.add('vitals', { start: () => cradle.vitals.start(), stop: () => cradle.vitals.stop() });
    this.#addMachinePages();
    this.#lifecycle.add('tasks file', { start: () => cradle.tasksFile.start(), stop: () => cradle.tasksFile.stop() });
    this.#lifecycle.add('http', { start: () => this.#listen(), stop: () => cradle.httpServer.close() });
  }

  /** The machine's own pages; limit enforcers, the other plugins of this mode, are started by who chooses among them. */
  #addMachinePages(): void {
    const cradle = this.#cradle;
    this.#lifecycle.add('plugins', {
      start: async () => {
        for (const plugin of cradle.plugins) if (plugin.point === 'machine-ui') this.#addPlugin(plugin);
        await this.#plugins.start();
      },
      stop: () => this.#plugins.stop(),
    });
    this.#lifecycle.add('pages', {
      start: () => cradle.machinePages.start(),
      stop: () => cradle.machinePages.stop(),
    });
  }

  #clusterParts(): void {
    const cradle = this.#cradle;
    // It listens first: a port that is taken is found out before anything is opened or started.
    this.#lifecycle.add('http', { start: () => this.#listen(), stop: () => cradle.httpServer.close() });
    this.#lifecycle.add('plugins', {
      start: async () => {
        for (const plugin of cradle.plugins) this.#addPlugin(plugin);
        await this.#plugins.start();
      },
      stop: () => this.#plugins.stop(),
    });
    this.#lifecycle.add('pages', { start: () => cradle.pages.start(), stop: () => cradle.pages.stop() });
    this.#lifecycle.add('cluster sitter', {
      start: () => cradle.clusterSitter.start(),
      stop: () => cradle.clusterSitter.stop(),
    });
  }

  #addPlugin(plugin: PluginInstance): void {
    this.#plugins.add(plugin.id, {
      start: async () => {
        try {
          await plugin.instance.start();
          plugin.state = 'running';
        } catch (error) {
          plugin.state = 'failed';
          const reason = error instanceof Error ? error.message : String(error);
          throw new CerebroError('plugin', `plugin "${plugin.id}" (${plugin.use}) could not be started: ${reason}`, {
            cause: error,
          });
        }
      },
      stop: async () => {
        await plugin.instance.stop();
        plugin.state = 'stopped';
      },
    });
  }

  async #listen(): Promise<void> {
    const { settings, mode, httpServer, logger } = this.#cradle;
    const port = settings.port || (this.#options.portFallback ? 0 : DEFAULT_PORT[mode]);
    try {
      this.#url = await httpServer.listen(settings.host, port);
    } catch (error) {
      if (!this.#options.portFallback || !(error instanceof CerebroError) || error.code !== 'conflict') throw error;
      this.#url = await httpServer.listen(settings.host, 0);
    }
    logger.info({ url: this.#url, mode }, 'listening');
    if (mode === 'machine' && this.#cradle.ownIdentity.current === null && !/^http:\/\/(127\.|\[::1\])/.test(this.#url))
      logger.warn({ url: this.#url }, 'this machine has no certificate of a cluster: only this host itself is served');
  }
}
