import { definePlugin } from '../../core/define-plugin.ts';
import { LmdbStore } from './lmdb-store.ts';
import { config } from './schema.ts';

export const plugin = definePlugin({
  id: 'store-lmdb',
  point: 'state-store',
  config,
  needs: ['dataDir', 'clock', 'logger'],
  create: (services, options) => new LmdbStore(services, options),
});
