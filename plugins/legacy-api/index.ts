import { definePlugin } from '../../core/define-plugin.ts';
import { LegacyApi } from './legacy-api.ts';
import { config } from './schema.ts';

export const plugin = definePlugin({
  id: 'legacy-api',
  point: 'ui',
  config,
  needs: [],
  create: () => new LegacyApi(),
});
