import { definePlugin } from '../../core/define-plugin.ts';
import { config } from './schema.ts';
import { UiDashboard } from './ui-dashboard.ts';

export const plugin = definePlugin({
  id: 'ui-dashboard',
  point: 'ui',
  config,
  needs: [],
  create: () => new UiDashboard(),
});
