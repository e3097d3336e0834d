import { readdirSync } from 'node:fs';
import t from 'tap';
import { ProcTable } from '../../core/machine/proc-table.ts';

const processes = new ProcTable();

t.test('a process is read by its number, a thread is none', async (t) => {
  const self = processes.read(process.pid);
  t.match(self, { pid: process.pid, ppid: process.ppid });
  t.ok((self?.rssBytes ?? 0) > 1024 * 1024);
  const threads = readdirSync('/proc/self/task')
    .map(Number)
    .filter((id) => id !== process.pid);
  t.ok(threads.length > 0, 'Node has threads');
  for (const id of threads) t.equal(processes.read(id), undefined);
});

t.test('a variable is found in an environment of any length', async (t) => {
  t.equal(processes.environment(process.pid, 'CEREBRO_NOT_THERE'), undefined);
  t.equal(processes.environment(process.pid, 'PATH'), process.env.PATH);
  t.equal(processes.environment(2 ** 22 + 1, 'PATH'), undefined, 'there is no such process');
});
