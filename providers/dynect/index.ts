import { definePlugin } from '../../core/define-plugin.ts';
import { DynectProvider } from './dynect-provider.ts';
import { config } from './schema.ts';

export const plugin = definePlugin({
  id: 'dns-dynect',
  point: 'dns-provider',
  config,
  needs: ['clock', 'logger'],
  create: (services, options) => new DynectProvider(services, options),
});
