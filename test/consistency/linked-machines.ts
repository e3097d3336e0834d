import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Instance, MachineProvider } from '../../core/contracts/machine-provider.ts';
import type { Plugin } from '../../core/define-plugin.ts';
import type { Config } from '../../providers/local/schema.ts';
import { LINKS } from './machine-links.ts';

/**
 * The machines of this host, each to be reached by the test's own wire to it. Loaded by the cluster sitters under test: so it
 * requires the provider that they have been built with, since what it imports would be another program to them.
 */
const built = createRequire(import.meta.url)('../../dist/providers/local/index.js') as { plugin: Plugin };

export const plugin: Plugin = {
  ...built.plugin,
  create(services, config) {
    const provider = built.plugin.create(services, config) as MachineProvider;
    const links = join((config as Config).folder ?? '', '..', LINKS);
    const byLink = (instance: Instance): Instance => ({ ...instance, endpoint: endpointOf(instance, links) });
    const { create, describe } = provider;
    provider.create = async (order) => byLink(await create.call(provider, order));
    provider.describe = async (clusterId) => (await describe.call(provider, clusterId)).map(byLink);
    return provider;
  },
};

/** null: it is not there yet, or has no wire yet. */
function endpointOf({ machineId, endpoint }: Instance, links: string): string | null {
  if (endpoint === null) return null;
  try {
    return `https://127.0.0.1:${readFileSync(join(links, machineId), 'utf8')}`;
  } catch {
    return null;
  }
}
