import { join, resolve } from 'node:path';
import type { Logger } from '../contracts/logger.ts';
import type { ProviderReport } from '../contracts/machine-provider.ts';
import { didYouMean } from '../decide/words/nearest-names.ts';
import { CerebroError } from '../errors.ts';
import { ProcTable } from '../machine/proc-table.ts';
import { createPlugins, type LoadedPlugin, loadPlugins, pluginsFor } from './load-plugins.ts';
import { noIdentities } from './no-identities.ts';
import { packageRoot, selfCommand } from './package-root.ts';
import { SystemClock } from './system-clock.ts';

export interface ProviderToInspect {
  /** `ec2`, as its plugin is called (`provider-ec2`). */
  name: string;
  dataDir: string;
  pluginsFile: string | undefined;
}

/**
 * What a machine provider of the list of plugins says of itself, with its settings from there. Throws `not_found` for one that is not
 * listed, and `unsupported` for one that has nothing to say.
 */
export async function inspectProvider({ name, dataDir, pluginsFile }: ProviderToInspect): Promise<ProviderReport> {
  const file = resolve(pluginsFile ?? join(packageRoot, 'plugins.json'));
  const providers = (await loadPlugins(file, 'cluster')).filter(
    ({ definition }) => definition.point === 'machine-provider',
  );
  const found = providers.find(({ definition: { id } }) => id === name || id === `provider-${name}`);
  if (!found) throw notListed(name, file, providers);
  const quiet = (): void => undefined;
  const logger: Logger = { debug: quiet, info: quiet, warn: quiet, error: quiet, child: () => logger };
  const plugins = createPlugins([found], () => ({
    clock: new SystemClock(),
    logger,
    processes: new ProcTable(),
    dataDir: resolve(dataDir),
    recipePath: [],
    identities: noIdentities,
    tasksGroup: '',
    selfCommand: selfCommand(pluginsFile),
  }));
  const [provider] = pluginsFor(plugins, 'machine-provider');
  if (!provider?.doctor) throw new CerebroError('unsupported', `the provider "${name}" has nothing to be looked at`);
  return provider.doctor();
}

function notListed(name: string, file: string, providers: readonly LoadedPlugin[]): CerebroError {
  const names = providers.map(({ definition }) => definition.id.replace(/^provider-/, ''));
  return new CerebroError(
    'not_found',
    `${file} lists no machine provider "${name}"${didYouMean(name, names)}; it lists ${names.join(', ') || 'none'}`,
  );
}
