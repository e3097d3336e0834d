import { definePlugin } from '../../core/define-plugin.ts';
import { config } from './schema.ts';
import { SshProvider } from './ssh-provider.ts';

export const plugin = definePlugin({
  id: 'provider-ssh',
  point: 'machine-provider',
  config,
  needs: ['clock', 'logger', 'dataDir', 'selfCommand'],
  create: (services, options) => new SshProvider(services, options),
});
