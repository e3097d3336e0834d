import { definePlugin } from '../../core/define-plugin.ts';
import { LocalProvider } from './local-provider.ts';
import { config } from './schema.ts';

export const plugin = definePlugin({
  id: 'provider-local',
  point: 'machine-provider',
  config,
  needs: ['clock', 'logger', 'processes', 'dataDir', 'selfCommand'],
  create: (services, options) => new LocalProvider(services, options),
});
