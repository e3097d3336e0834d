import { join, resolve } from 'node:path';
import type { Logger } from '../contracts/logger.ts';
import type { StateStore } from '../contracts/state-store.ts';
import { CerebroError } from '../errors.ts';
import { ProcTable } from '../machine/proc-table.ts';
import { DataFolder } from './data-folder.ts';
import { createPlugins, type LoadedPlugin, loadPlugins, pluginsFor } from './load-plugins.ts';
import { noIdentities } from './no-identities.ts';
import { packageRoot, selfCommand } from './package-root.ts';
import { SystemClock } from './system-clock.ts';

/** Another cluster sitter that leads is not waited for. */
const LEAD_MS = 5000;

export interface StorePlace {
  dataDir: string;
  /** The list of plugins that names the store; undefined: the package's own. */
  pluginsFile: string | undefined;
}

/** Runs `work` while no daemon has the data folder, nor gets it meanwhile. Throws `conflict` where one has it. */
export async function withDataFolder<T>(dataDir: string, work: () => Promise<T>): Promise<T> {
  const folder = new DataFolder(resolve(dataDir), new ProcTable());
  folder.take('cluster');
  try {
    return await work();
  } finally {
    folder.release();
  }
}

/** Opens the store of a list of plugins and leads for as long as `work` lasts, so that no cluster sitter works on it meanwhile. */
export async function withStore<T>(place: StorePlace, work: (store: StateStore) => Promise<T>): Promise<T> {
  const plugin = await storeOf(place);
  const quiet = (): void => undefined;
  const logger: Logger = { debug: quiet, info: quiet, warn: quiet, error: quiet, child: () => logger };
  const [store] = pluginsFor(
    createPlugins([plugin], () => ({
      clock: new SystemClock(),
      logger,
      processes: new ProcTable(),
      dataDir: resolve(place.dataDir),
      recipePath: [],
      identities: noIdentities,
      tasksGroup: '',
      selfCommand: selfCommand(place.pluginsFile),
    })),
    'state-store',
  );
  if (!store) throw new CerebroError('internal', 'the store was not created');
  try {
    await store.start();
    const lease = await store.lead(`a command of pid ${process.pid}`, AbortSignal.timeout(LEAD_MS));
    try {
      return await work(store);
    } finally {
      await lease.release();
    }
  } finally {
    await store.stop();
  }
}

/** Throws `usage` when both lists name the same store. */
export async function checkTwoStores(from: StorePlace, to: StorePlace): Promise<void> {
  const [one, other] = [await storeOf(from), await storeOf(to)];
  if (one.definition.id === other.definition.id && JSON.stringify(one.config) === JSON.stringify(other.config))
    throw new CerebroError(
      'usage',
      `${other.use} with the same configuration is the store that the records are in already`,
    );
}

async function storeOf({ pluginsFile }: StorePlace): Promise<LoadedPlugin> {
  const file = resolve(pluginsFile ?? join(packageRoot, 'plugins.json'));
  const stores = (await loadPlugins(file, 'cluster')).filter(({ definition }) => definition.point === 'state-store');
  const [store] = stores;
  if (store && stores.length === 1) return store;
  throw new CerebroError('plugin', `${file} lists ${stores.length} state-stores; a cluster sitter has one`);
}
