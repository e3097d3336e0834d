import { definePlugin } from '../../core/define-plugin.ts';
import { Cgroup2Enforcer } from './cgroup2-enforcer.ts';
import { config } from './schema.ts';

export const plugin = definePlugin({
  id: 'enforcer-cgroup2',
  point: 'limit-enforcer',
  config,
  needs: ['clock', 'logger', 'processes', 'dataDir', 'tasksGroup'],
  create: (services, options) => new Cgroup2Enforcer(services, options),
});
