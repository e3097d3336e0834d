import t from 'tap';
import type { ProcessInfo } from '../../core/contracts/process-table.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { ProcTable } from '../../core/machine/proc-table.ts';
import { ProcEnclosure } from '../../plugins/enforcer-proc/proc-enclosure.ts';
import { ProcessIndex } from '../../plugins/enforcer-proc/process-index.ts';
import { NO_LIMITS } from '../suites/enclosed-run.ts';

t.test('who sleeps is looked at less and less often, and as often as before once he has run', async (t) => {
  let now = 1000;
  const clock = new SystemClock();
  clock.monotonic = () => now;
  const processes = new ProcTable();
  const own = processes.read(process.pid);
  if (!own) throw new Error('/proc can be read');
  const run = new ProcEnclosure({ marker: 'run', task: 'web' }, NO_LIMITS, {
    holds: { cpu: 'measured', mem: 'polled', pids: 'polled', io: 'none' },
    idleMs: 2000,
    clock,
    index: new ProcessIndex(processes),
    added: () => undefined,
    removed: () => undefined,
  });
  run.attach({ pid: own.pid, startTime: own.startTime });
  let member: ProcessInfo = { ...own, cpuTicks: 5 };
  const stats = { [own.pid]: { memory: 1000, ctime: 50 } };
  const pauses: number[] = [];
  const look = (): void => {
    const since = now;
    now = run.shownAt;
    pauses.push(now - since);
    if (!run.isUnchanged([member], now)) run.take([member], stats, now);
  };
  for (let n = 0; n < 6; n++) look();
  t.strictSame(pauses, [2000, 2000, 4000, 8000, 10_000, 10_000]);
  member = { ...member, cpuTicks: 6 };
  pauses.length = 0;
  for (let n = 0; n < 3; n++) look();
  t.strictSame(pauses, [10_000, 2000, 4000]);
});
