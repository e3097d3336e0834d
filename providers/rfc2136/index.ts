import { definePlugin } from '../../core/define-plugin.ts';
import { Rfc2136Provider } from './rfc2136-provider.ts';
import { config } from './schema.ts';

export const plugin = definePlugin({
  id: 'dns-rfc2136',
  point: 'dns-provider',
  config,
  needs: ['clock', 'logger', 'dataDir'],
  create: (services, options) => new Rfc2136Provider(services, options),
});
