import { definePlugin } from '../../core/define-plugin.ts';
import { ProcEnforcer } from './proc-enforcer.ts';
import { config } from './schema.ts';

export const plugin = definePlugin({
  id: 'enforcer-proc',
  point: 'limit-enforcer',
  config,
  needs: ['clock', 'logger', 'processes'],
  create: (services, options) => new ProcEnforcer(services, options),
});
