import { definePlugin } from '../../core/define-plugin.ts';
import { Route53Provider } from './route53-provider.ts';
import { config } from './schema.ts';

export const plugin = definePlugin({
  id: 'dns-route53',
  point: 'dns-provider',
  config,
  needs: ['clock', 'logger'],
  create: (services, options) => new Route53Provider(services, options),
});
