import { definePlugin } from '../../core/define-plugin.ts';
import { config } from './schema.ts';
import { UiSettings } from './ui-settings.ts';

export const plugin = definePlugin({
  id: 'ui-settings',
  point: 'ui',
  config,
  needs: [],
  create: () => new UiSettings(),
});
