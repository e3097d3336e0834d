import { definePlugin } from '../../core/define-plugin.ts';
import { NotifyCommand } from './notify-command.ts';
import { config } from './schema.ts';

export const plugin = definePlugin({
  id: 'notify-command',
  point: 'notifier',
  config,
  needs: [],
  create: (_services, options) => new NotifyCommand(options),
});
