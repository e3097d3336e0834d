import { definePlugin } from '../../../core/define-plugin.ts';
import { LegacyMachineApi } from './legacy-machine-api.ts';
import { config } from './schema.ts';

export const plugin = definePlugin({
  id: 'legacy-machine-api',
  point: 'machine-ui',
  config,
  needs: [],
  create: () => new LegacyMachineApi(),
});
