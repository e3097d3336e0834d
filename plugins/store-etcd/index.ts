import { definePlugin } from '../../core/define-plugin.ts';
import { EtcdStore } from './etcd-store.ts';
import { config } from './schema.ts';

export const plugin = definePlugin({
  id: 'store-etcd',
  point: 'state-store',
  config,
  needs: ['clock', 'logger'],
  create: (services, options) => new EtcdStore(services, options),
});
