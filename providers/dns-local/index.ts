import { definePlugin } from '../../core/define-plugin.ts';
import { DnsLocal } from './dns-local.ts';
import { config } from './schema.ts';

export const plugin = definePlugin({
  id: 'dns-local',
  point: 'dns-provider',
  config,
  needs: ['clock', 'logger', 'dataDir'],
  create: (services, options) => new DnsLocal(services, options),
});
