import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { ClusterEvent } from '../../core/model/event.ts';
import type { TasksReport } from '../../core/model/tasks-report.ts';
import { eventually } from '../suites/eventually.ts';
import { MachineDaemon } from './machine-daemon.ts';

const FIRST = `
- {name: keeps, command: exec sleep 1000, auto_start: true}
- {name: changes, command: exec sleep 1000, auto_start: true}
- {name: goes, command: exec sleep 1000, auto_start: true}
- {name: waits, command: exec sleep 1000}
`;
const SECOND = `
- {name: keeps, command: exec sleep 1000, auto_start: true}
- {name: changes, command: exec sleep 2000, auto_start: true}
- {name: comes, command: exec sleep 1000, auto_start: true}
- {name: waits, command: exec sleep 2000}
`;

async function pids(daemon: MachineDaemon): Promise<Record<string, number | null>> {
  return Object.fromEntries([...(await daemon.tasks()).values()].map(({ id, pid }) => [id, pid]));
}

async function lastEvent(daemon: MachineDaemon): Promise<string> {
  const events = await daemon.call<ClusterEvent[]>('GET', '/api/v1/events');
  return events.filter(({ kind }) => kind === 'tasks-file').at(-1)?.message ?? '';
}

t.test('the file of tasks is loaded at the start, and with SIGHUP only what changed is touched', async (t) => {
  const daemon = new MachineDaemon();
  const file = join(daemon.folder, 'our tasks.yaml');
  daemon.flags.push('--tasks', file);
  writeFileSync(file, FIRST);
  await daemon.start();
  t.teardown(() => daemon.remove());
  await daemon.add('by hand', { command: 'exec sleep 1000' });
  const running = async (count: number): Promise<void> =>
    eventually(
      async () => Object.values(await pids(daemon)).filter((pid) => pid !== null).length === count,
      `${count} tasks run`,
    );
  await running(4);
  const before = await pids(daemon);
  t.equal(before.waits, null, 'without auto_start it waits');

  writeFileSync(file, SECOND);
  daemon.hangUp();
  await eventually(async () => (await lastEvent(daemon)).includes('by SIGHUP'), 'it was loaded again');
  t.match(
    await lastEvent(daemon),
    /1 added \(comes\), 1 changed \(waits\), 1 restarted \(changes\), 1 removed \(goes\), 1 unchanged/,
  );
  await running(4);
  const after = await pids(daemon);
  t.same(Object.keys(after).sort(), ['by hand', 'changes', 'comes', 'keeps', 'waits']);
  t.equal(after.keeps, before.keeps, 'what did not change goes on');
  t.equal(after['by hand'], before['by hand'], 'what is not of the file is left alone');
  t.not(after.changes, before.changes);

  writeFileSync(file, '- {name: keeps, comand: x}\n');
  daemon.hangUp();
  await eventually(async () => (await lastEvent(daemon)).includes('was not loaded'), 'the mistake is told');
  t.match(
    await lastEvent(daemon),
    /nothing was changed.*our tasks\.yaml:1: comand: unknown key; did you mean "command"/s,
  );
  t.same(await pids(daemon), after);

  // With a bad file the next daemon goes on with what is there.
  await daemon.end('SIGKILL');
  await daemon.start();
  t.match(await lastEvent(daemon), /its tasks go on as they were/);
  t.same(await pids(daemon), after);

  const written = await daemon.call<{ file: string; written: string[] }>('POST', '/api/v1/tasks-file/write', {});
  t.equal(written.file, file);
  t.match(readFileSync(file, 'utf8'), /- name: by hand\n {2}command: exec sleep 1000\n/);
  const again = await daemon.call<TasksReport>('POST', '/api/v1/tasks-file/load', {});
  t.same(again.unchanged.sort(), Object.keys(after).sort(), 'what was written is what is there');
  writeFileSync(file, '[]');
  t.same(
    (await daemon.call<TasksReport>('POST', '/api/v1/tasks-file/load', {})).removed.sort(),
    Object.keys(after).sort(),
  );
  t.equal((await daemon.tasks()).size, 0);
});

t.test('with --stop-tasks SIGTERM ends the tasks too, and the next start brings them back', async (t) => {
  const daemon = new MachineDaemon(['--stop-tasks']);
  await daemon.start();
  t.teardown(() => daemon.remove());
  await daemon.add('web', { command: 'exec sleep 1000' });
  await eventually(async () => (await pids(daemon)).web !== null, 'it runs');
  const before = await pids(daemon);
  await daemon.end('SIGTERM');
  t.throws(() => process.kill(before.web ?? 0, 0), { code: 'ESRCH' }, 'it has ended with the daemon');
  await daemon.start();
  await eventually(async () => (await daemon.tasks()).get('web')?.phase === 'running', 'it runs again');
  t.match((await daemon.tasks()).get('web'), { run: 2, lastEnd: { reason: 'user' } });
});

t.test('a first start with a file that cannot be used says what is wrong, and does not start', async (t) => {
  const daemon = new MachineDaemon();
  const file = join(daemon.folder, 'tasks.yaml');
  daemon.flags.push('--tasks', file);
  writeFileSync(file, '- {name: a, command: x, cpu: -1}\n');
  await t.rejects(daemon.start(), /the daemon ended.*tasks\.yaml:1: cpu: expected cores, more than 0/s);
  daemon.flags.splice(0);
  await daemon.remove();
});
