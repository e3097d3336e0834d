import t from 'tap';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { ProcTable } from '../../core/machine/proc-table.ts';
import { ProcEnforcer } from '../../plugins/enforcer-proc/proc-enforcer.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { limitEnforcerSuite } from '../suites/index.ts';

t.test('enforcer-proc', async (t) => {
  const make = (): ProcEnforcer =>
    new ProcEnforcer(
      { clock: new SystemClock(), logger: silentLogger, processes: new ProcTable() },
      { idle_interval: 0.1 },
    );
  for (const { name, run } of limitEnforcerSuite(make)) await t.test(name, async (t) => run(t));
});
