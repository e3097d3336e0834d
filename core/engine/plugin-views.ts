import type { Clock } from '../contracts/clock.ts';
import type { PluginView } from '../contracts/cluster-api.ts';
import type { ExtensionPoint } from '../define-plugin.ts';
import { providerOf } from '../model/zone.ts';
import { CallWatch } from './call-watch.ts';
import type { PluginInstance } from './load-plugins.ts';

/** Plugins that ask others for something, who may be away or say no. A store is asked too often to be watched call by call, and its loss is an alert. */
const REACHING_OUT = new Set<ExtensionPoint>(['machine-provider', 'dns-provider', 'recipe-loader', 'notifier']);

/** The same plugins; how the calls to those that reach out go is noted from here on. */
export function watchPlugins(plugins: readonly PluginInstance[], clock: Pick<Clock, 'now'>): PluginInstance[] {
  return plugins.map((plugin) => {
    if (!REACHING_OUT.has(plugin.point)) return plugin;
    const calls = new CallWatch(clock);
    return { ...plugin, instance: calls.watch(plugin.instance), calls };
  });
}

/** What is loaded and how it does. `zones`: those that are in use, for which providers are asked what keeps them. */
export function pluginViews(plugins: readonly PluginInstance[], zones: readonly string[]): PluginView[] {
  return plugins.map((plugin) => {
    const { id, point, use, state, calls } = plugin;
    return { id, point, use, state, calls: calls?.health() ?? null, says: saidBy(plugin, zones) };
  });
}

function saidBy(plugin: PluginInstance, zones: readonly string[]): string[] {
  if (!isProvider(plugin)) return [];
  const { instance } = plugin;
  const own = zones.filter((zone) => providerOf(zone) === instance.name);
  return [...new Set(own.flatMap((zone) => instance.complaint?.(zone) ?? []))];
}

function isProvider(plugin: PluginInstance): plugin is PluginInstance<'machine-provider'> {
  return plugin.point === 'machine-provider';
}
