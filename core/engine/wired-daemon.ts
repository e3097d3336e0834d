import { CerebroError } from '../errors.ts';
import type { Cradle } from './cradle.ts';
import { type Daemon, type DaemonOptions, DEFAULT_PORT } from './daemon.ts';
import { Lifecycle } from './lifecycle.ts';
import type { PluginInstance } from './load-plugins.ts';

/** The order in which the parts of a daemon are started and stopped. */
export class WiredDaemon implements Daemon {
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
    this.#lifecycle.add('standing', {
      start: async () => cradle.standing.start(),
      stop: async () => cradle.standing.stop(),
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
    const several = (): boolean => cradle.store.shared === true;
    this.#lifecycle.add('other cluster sitters', {
      start: async () => (several() ? cradle.joinedPeers.start() : undefined),
      stop: async () => (several() ? cradle.joinedPeers.stop() : undefined),
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
