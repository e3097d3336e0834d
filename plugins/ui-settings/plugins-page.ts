import type { ClusterApi, PluginView } from '../../core/contracts/cluster-api.ts';
import type { Page } from '../../core/contracts/ui.ts';

/** How a plugin does, in a word. `silent`: it has been asked, and has not answered for a while. */
export type PluginHealth = 'works' | 'failing' | 'silent' | 'unused' | 'running' | 'failed';

/** A call that takes longer than this is worth a word: most take milliseconds, and those that buy a machine some seconds. */
const LONG_MS = 30_000;

export const pluginsPage: Page = {
  method: 'GET',
  path: '/settings/plugins',
  answer: async (_request, api: ClusterApi) => {
    const plugins = api.plugins().map((plugin) => ({ ...plugin, health: healthOf(plugin, Date.now()) }));
    return {
      template: 'plugins.njk',
      title: 'Plugins',
      data: {
        // Those that reach out are what goes wrong.
        reaching: plugins.filter(({ calls }) => calls !== null),
        others: plugins.filter(({ calls }) => calls === null),
        live: true,
      },
    };
  },
};

export function healthOf({ state, calls }: PluginView, now: number): PluginHealth {
  if (state !== 'running' || calls === null) return state === 'running' ? 'running' : 'failed';
  const { lastDone, lastFailed, waiting } = calls;
  if (waiting && now - Date.parse(waiting.since) > LONG_MS) return 'silent';
  if (lastFailed && (!lastDone || Date.parse(lastFailed.at) >= Date.parse(lastDone.at))) return 'failing';
  return lastDone ? 'works' : 'unused';
}
