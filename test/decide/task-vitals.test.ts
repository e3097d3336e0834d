import t from 'tap';
import { taskReading, taskVitalsOf } from '../../core/decide/task/task-vitals.ts';
import { machineUse } from '../../core/decide/vitals/machine-use.ts';
import type { TaskStatus, TaskUsage } from '../../core/model/task.ts';
import type { HostVitals } from '../../core/model/vitals.ts';
import { runningTask } from '../fakes/fake-cluster-api.ts';

const usage = (changes: Partial<TaskUsage> = {}): TaskUsage => ({
  cpu: 0.5,
  memBytes: 1024,
  processes: 2,
  throttledSeconds: 0,
  readBytes: 0,
  writtenBytes: 0,
  ...changes,
});
const task = (use: TaskUsage | null, run = 3): TaskStatus => ({ ...runningTask('web.1', 'web'), run, usage: use });

t.test('rates are taken between two readings of one run', async (t) => {
  const before = taskReading(task(usage({ throttledSeconds: 1, readBytes: 100, writtenBytes: 0 })), 1000);
  const status = task(usage({ throttledSeconds: 2, readBytes: 1100, writtenBytes: 4000 }));
  const vitals = taskVitalsOf(status, before, taskReading(status, 3000));
  t.match(vitals, {
    id: 'web.1',
    cpu: 0.5,
    memBytes: 1024,
    throttled: 0.5,
    readRate: 500,
    writeRate: 2000,
    restarts: 2,
  });
});

t.test('a new run has no rates yet, and what is not measured is not made up', async (t) => {
  const before = taskReading(task(usage({ readBytes: 5000 }), 2), 1000);
  const status = task(usage({ readBytes: 10, writtenBytes: null }));
  t.match(taskVitalsOf(status, before, taskReading(status, 2000)), { readRate: null, throttled: null });
  const same = taskReading(status, 1000);
  t.match(taskVitalsOf(status, same, taskReading(status, 2000)), { readRate: 0, writeRate: null });
  const stopped = task(null);
  t.match(taskVitalsOf(stopped, before, taskReading(stopped, 2000)), { cpu: null, memBytes: null, throttled: null });
});

t.test('a throttled share is never more than all of the time', async (t) => {
  const before = taskReading(task(usage()), 1000);
  const status = task(usage({ throttledSeconds: 9 }));
  t.equal(taskVitalsOf(status, before, taskReading(status, 2000)).throttled, 1);
});

t.test('a machine uses what its host says, or what its tasks use where it is a part of a bigger host', async (t) => {
  const MB = 1024 * 1024;
  const host = (cores: number, mb: number): HostVitals =>
    ({ cpu: { cores, used: 0.75 }, memory: { totalBytes: mb * MB, usedBytes: 300 * MB } }) as HostVitals;
  const tasks = [usage({ cpu: 0.1, memBytes: 10 * MB }), usage({ cpu: 0.2, memBytes: 20 * MB })];
  t.strictSame(machineUse({ cpu: 2, mem: 2048 }, host(2, 1980), tasks), { cpu: 0.75, mem: 300 });
  t.strictSame(machineUse({ cpu: 1, mem: 512 }, host(16, 64_000), tasks), { cpu: 0.3, mem: 30 });
  t.strictSame(machineUse({ cpu: 2, mem: 2048 }, null, tasks), { cpu: 0.3, mem: 30 });
  t.strictSame(machineUse({ cpu: 2, mem: 2048 }, null, null), { cpu: null, mem: null });
});
