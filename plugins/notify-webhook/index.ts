import { definePlugin } from '../../core/define-plugin.ts';
import { NotifyWebhook } from './notify-webhook.ts';
import { config } from './schema.ts';

export const plugin = definePlugin({
  id: 'notify-webhook',
  point: 'notifier',
  config,
  needs: [],
  create: (_services, options) => new NotifyWebhook(options),
});
