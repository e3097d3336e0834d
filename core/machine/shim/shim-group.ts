import { mkdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { CerebroError, messageOf, systemCode } from '../../errors.ts';

/** CGROUP2_SUPER_MAGIC of linux/magic.h. */
const CGROUP2_MAGIC = 0x63677270;

/** The variable in which a shim is told where to go; it does not reach the task. */
export const SHIM_GROUP = 'CEREBRO_SHIM_GROUP';

/** Where shims live under the setting `tasks_group`: beside the groups of their runs, so that no limit of a task is theirs. */
export function shimGroupOf(tasksGroup: string): string {
  return join(tasksGroup, 'shims');
}

/** Makes the group of the shims. Throws `unsupported` where there is no such group, or it is not ours to arrange. */
export function makeShimGroup(tasksGroup: string): void {
  const advice =
    'start the service that holds it (cerebro-tasks.service, see "cerebro install-service"), or leave out tasks_group: then tasks end with the daemon’s service';
  try {
    if (statfsSync(tasksGroup).type !== CGROUP2_MAGIC)
      throw new CerebroError('unsupported', `tasks_group: ${tasksGroup} is no group of cgroup v2; ${advice}`);
    mkdirSync(shimGroupOf(tasksGroup));
  } catch (error) {
    if (error instanceof CerebroError) throw error;
    if (systemCode(error) === 'EEXIST') return;
    throw new CerebroError('unsupported', `tasks_group: ${tasksGroup} cannot be used (${messageOf(error)}); ${advice}`);
  }
}
