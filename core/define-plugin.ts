import type { z } from 'zod';
import type { Clock } from './contracts/clock.ts';
import type { DnsProvider } from './contracts/dns-provider.ts';
import type { MachineIdentities } from './contracts/identity-issuer.ts';
import type { LimitEnforcer } from './contracts/limit-enforcer.ts';
import type { Logger } from './contracts/logger.ts';
import type { MachineApi } from './contracts/machine-api.ts';
import type { MachineProvider } from './contracts/machine-provider.ts';
import type { Notifier } from './contracts/notifier.ts';
import type { ProcessTable } from './contracts/process-table.ts';
import type { RecipeLoader } from './contracts/recipe.ts';
import type { StateStore } from './contracts/state-store.ts';
import type { UiPlugin } from './contracts/ui.ts';

/** The version of everything under `core/contracts`. A plugin made for another one is refused at boot. */
export const API_VERSION = 1;

/** Extension point -> what a plugin for it creates. */
export interface ExtensionPoints {
  'machine-provider': MachineProvider;
  'dns-provider': DnsProvider;
  'limit-enforcer': LimitEnforcer;
  'recipe-loader': RecipeLoader;
  'state-store': StateStore;
  /** Pages of a cluster sitter. */
  ui: UiPlugin;
  /** Pages of a machine sitter. */
  'machine-ui': UiPlugin<MachineApi>;
  notifier: Notifier;
}
export type ExtensionPoint = keyof ExtensionPoints;

/** What a plugin may ask for in `needs`; it gets exactly what it names. */
export interface PluginServices {
  clock: Clock;
  /** A child of the daemon's log, bearing the plugin's id. */
  logger: Logger;
  processes: ProcessTable;
  /** The daemon's data folder, absolute. A plugin keeps its files in a folder of its own in there. */
  dataDir: string;
  /** The group of cgroup v2 in which tasks are to live (the setting `tasks_group`); empty: none was named. */
  tasksGroup: string;
  /** Where relative recipe paths are looked for, in order, absolute. */
  recipePath: readonly string[];
  /** Certificates for machines whose sitters a provider deploys by itself, or whose own have ended. Cluster sitters have it. */
  identities: MachineIdentities;
  /** How to start another `cerebro` process with the same code: program and first arguments. */
  selfCommand: readonly string[];
}
export type PluginService = keyof PluginServices;

export type Mode = 'machine' | 'cluster';

export interface PluginDefinition<P extends ExtensionPoint, N extends PluginService, C extends z.ZodType> {
  /** Unique among the loaded; what messages call it. */
  id: string;
  point: P;
  apiVersion?: number;
  /** The schema of `config` in plugins.json; use z.strictObject, so that a misspelt key is found. */
  config: C;
  needs: readonly N[];
  /** Builds the thing and touches nothing: files, sockets and timers belong in `start`. */
  create(services: Pick<PluginServices, N>, config: z.infer<C>): ExtensionPoints[P];
}

/** A definition whose particulars were checked by `definePlugin` and may be forgotten. */
export interface Plugin {
  readonly id: string;
  readonly point: ExtensionPoint;
  readonly apiVersion: number;
  readonly config: z.ZodType;
  readonly needs: readonly PluginService[];
  create(services: Partial<PluginServices>, config: unknown): ExtensionPoints[ExtensionPoint];
}

/** What a plugin's module exports as `plugin`. */
export function definePlugin<P extends ExtensionPoint, N extends PluginService, C extends z.ZodType>(
  definition: PluginDefinition<P, N, C>,
): Plugin {
  const create = definition.create as Plugin['create'];
  return { ...definition, apiVersion: definition.apiVersion ?? API_VERSION, create };
}
