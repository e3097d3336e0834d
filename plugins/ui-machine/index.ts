import { definePlugin } from '../../core/define-plugin.ts';
import { config } from './schema.ts';
import { UiMachine } from './ui-machine.ts';

export const plugin = definePlugin({
  id: 'ui-machine',
  point: 'machine-ui',
  config,
  needs: [],
  create: () => new UiMachine(),
});
