import type { AwilixContainer } from 'awilix';
import type { Mode, PluginServices } from '../define-plugin.ts';
import { CerebroError, messageOf, systemCode } from '../errors.ts';
import type { TokenHolders } from '../http/doors/auth.ts';
import type { HttpServer } from '../http/doors/http-server.ts';
import type { Cradle } from './cradle.ts';

/** What only the daemon of one mode is made from. */
export interface ModeParts {
  /** Makes its parts known; nothing is made yet. */
  register(container: AwilixContainer<Cradle>, dataDir: string): void;
  app(cradle: Cradle): Cradle['app'];
  server(cradle: Cradle): HttpServer;
  /** Where others than the admin have tokens. */
  holders?(cradle: Cradle): TokenHolders;
  identities(cradle: Cradle): PluginServices['identities'];
}

const MODULES: Record<Mode, () => Promise<ModeParts>> = {
  machine: async () => (await import('./machine-parts.ts')).machineParts,
  cluster: async () => (await import('./cluster-parts.ts')).clusterParts,
};

/** What Node says when one of the two is not there. */
const OWN_PARTS = /^Cannot find module '[^']*\/(?:cluster|machine)-parts\.[jt]s'/;

/**
 * Loads the code of one mode and not of the other: it is half of the program, and most of the time until a daemon listens is spent in
 * loading it. What is brought to machines has no cluster sitter in it at all.
 */
export async function loadModeParts(mode: Mode): Promise<ModeParts> {
  try {
    return await MODULES[mode]();
  } catch (error) {
    // A package that is not installed is another matter.
    if (systemCode(error) !== 'ERR_MODULE_NOT_FOUND' || !OWN_PARTS.test(messageOf(error))) throw error;
    throw new CerebroError(
      'unsupported',
      `this Cerebro has no ${mode} sitter: it is what was brought to a machine, with the machine sitter alone; take a whole installation`,
      { cause: error },
    );
  }
}
