import { definePlugin } from '../../core/define-plugin.ts';
import { config } from './schema.ts';
import { UiDns } from './ui-dns.ts';

export const plugin = definePlugin({
  id: 'ui-dns',
  point: 'ui',
  config,
  needs: [],
  create: () => new UiDns(),
});
