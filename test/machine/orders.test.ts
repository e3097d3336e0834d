import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { TaskFiles } from '../../core/machine/records/task-files.ts';
import type { TaskFile } from '../../core/machine/records/task-records.ts';
import { eventually } from '../suites/eventually.ts';
import { definition, MachineUnderTest } from './machine-under-test.ts';

/** Everything that is written as the state of a task, in its order: a daemon may be killed after any of it. */
function recordSaves(t: Test): TaskFile[] {
  const saves: TaskFile[] = [];
  const { save } = TaskFiles.prototype;
  TaskFiles.prototype.save = function (this: TaskFiles, file: TaskFile): void {
    saves.push(structuredClone(file));
    save.call(this, file);
  };
  t.teardown(() => {
    TaskFiles.prototype.save = save;
  });
  return saves;
}

async function withMachine(t: Test): Promise<MachineUnderTest> {
  const machine = new MachineUnderTest();
  await machine.start();
  t.teardown(() => machine.remove());
  return machine;
}

t.test('a new task that is to run is never on disk as one that nobody starts', async (t) => {
  const machine = await withMachine(t);
  const saves = recordSaves(t);
  await machine.add('web', { command: 'exec sleep 1000' });
  await machine.phase('web', 'running');
  t.ok(saves.length > 0);
  for (const { life } of saves) t.match(life, { wanted: 'run' }, `saved as ${life.phase}`);
});

t.test('a changed definition is never on disk without its restart', async (t) => {
  const machine = await withMachine(t);
  await machine.add('web', { command: 'exec sleep 1000' });
  await machine.phase('web', 'running');
  const saves = recordSaves(t);
  await machine.add('web', { command: 'exec sleep 2000' }, 2);
  const changed = saves.filter((file) => file.definition.version === 2);
  t.match(changed[0], { revision: 2, life: { phase: 'stopping', wanted: 'run', ending: { reason: 'deploy' } } });
  await machine.phase('web', 'running', 2);
});

t.test('an order that cannot be kept is refused, and nothing of it is left', async (t) => {
  const machine = await withMachine(t);
  await machine.add('old', { command: 'exec sleep 1000' });
  const { pid } = await machine.phase('old', 'running');
  const { save } = TaskFiles.prototype;
  TaskFiles.prototype.save = () => {
    throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  };
  t.teardown(() => {
    TaskFiles.prototype.save = save;
  });
  await t.rejects(machine.add('new', { command: 'true' }), { code: 'no_space', message: /"new" .*could not be kept/ });
  await t.rejects(machine.add('old', { command: 'exec sleep 2000' }, 2), { code: 'no_space' });
  TaskFiles.prototype.save = save;
  t.same(
    machine.sitter.tasks().map(({ id, pid, version, revision }) => ({ id, pid, version, revision })),
    [{ id: 'old', pid, version: 1, revision: 1 }],
  );
  await machine.letGo();
  await machine.start();
  t.same([...machine.sitter.damaged().keys()], [], 'no half of a task was left');
});

t.test('a task that is being stopped is not started by a change that does not ask for it', async (t) => {
  const machine = await withMachine(t);
  await machine.add('slow', { command: "trap 'sleep 1; exit 0' TERM; echo up; while :; do sleep 0.05; done" });
  await machine.phase('slow', 'running');
  machine.sitter.act('slow', 'stop', 'test');
  await machine.sitter.put(definition('slow', { command: 'exec sleep 1000' }, 2), { start: false });
  await machine.phase('slow', 'stopped');
  t.equal(machine.task('slow').version, 2);
  machine.sitter.act('slow', 'start', 'test');
  await machine.phase('slow', 'running');
  machine.sitter.act('slow', 'stop', 'test');
  await machine.sitter.put(definition('slow', { command: 'exec sleep 1000' }, 2), { start: true });
  await machine.phase('slow', 'running', 3);
});

t.test('orders can be held to the revision that they were made from', async (t) => {
  const machine = await withMachine(t);
  const command = 'exec sleep 1000';
  const put = (configuration: { command: string }, expected: Parameters<typeof machine.sitter.put>[1]['expected']) =>
    machine.sitter.put(definition('web', configuration), { start: true, expected });
  await t.rejects(put({ command }, { revisions: [1] }), { code: 'precondition', message: /there is no task "web"/ });
  t.equal((await put({ command }, 'absent')).revision, 1);
  await t.rejects(put({ command }, 'absent'), { code: 'precondition', message: /is there already, at revision 1/ });
  t.equal((await put({ command }, { revisions: [1] })).revision, 1, 'the same again changes nothing');
  t.equal((await put({ command: 'exec sleep 2000' }, 'present')).revision, 2);
  await t.rejects(put({ command: 'exec sleep 3000' }, { revisions: [1] }), {
    code: 'precondition',
    message: /"web" is at revision 2 by now, not 1/,
  });
  t.throws(() => machine.sitter.act('web', 'stop', 'test', { revisions: [1] }), { code: 'precondition' });
  await t.rejects(machine.sitter.remove('web', { revisions: [1] }), { code: 'precondition' });
  t.equal(machine.sitter.definition('web').configuration.command, 'exec sleep 2000');
});

t.test('a signal goes to the task, or to all its processes, and is no stop', async (t) => {
  const machine = await withMachine(t);
  const child = "(trap 'echo child' USR1; while :; do sleep 0.05; done) & ";
  await machine.add('ears', {
    command: `trap 'echo parent' USR1; ${child} echo up; while :; do sleep 0.05; done`,
  });
  const heard = async (): Promise<string> => {
    return readFileSync(machine.sitter.log('ears', 'stdout').log(1)?.path ?? '', 'utf8');
  };
  await machine.phase('ears', 'running');
  await eventually(async () => (await heard()).includes('up'), 'it listens');
  machine.sitter.signal('ears', { signal: 'SIGUSR1', to: 'leader', by: 'test' });
  await eventually(async () => (await heard()).includes('parent'), 'the task hears it');
  t.notMatch(await heard(), /child/);
  machine.sitter.signal('ears', { signal: 'SIGUSR1', to: 'all', by: 'test' });
  await eventually(async () => (await heard()).includes('child'), 'the child hears it');
  t.match(machine.task('ears'), { phase: 'running', run: 1 });
  machine.sitter.act('ears', 'stop', 'test');
  await machine.phase('ears', 'stopped');
  t.throws(() => machine.sitter.signal('ears', { signal: 'SIGUSR1', to: 'leader', by: 'test' }), {
    code: 'conflict',
    message: /"ears" does not run; it is stopped/,
  });
});

t.test('an end is never on disk without its exit code, wherever the daemon was killed', async (t) => {
  const machine = await withMachine(t);
  const { endRun } = TaskFiles.prototype;
  // As a daemon that is killed before it has written the post-mortem.
  TaskFiles.prototype.endRun = () => {
    throw new Error('killed');
  };
  t.teardown(() => {
    TaskFiles.prototype.endRun = endRun;
  });
  await machine.add('job', { command: 'echo last words; exit 7', allow_exit: true });
  await machine.phase('job', 'failed');
  await machine.add('again', {
    command: 'exit 3',
    max_restarts: 2,
    ensure_alive: true,
    allow_exit: true,
    backoff: { then: 0 },
  });
  await machine.phase('again', 'failed');
  await machine.letGo();
  TaskFiles.prototype.endRun = endRun;
  await machine.start();
  t.match(machine.sitter.postMortems('job'), [{ run: 1, code: 7, reason: 'exit', lastLines: ['last words'] }]);
  t.match(
    machine.sitter.postMortems('again').map(({ run, code }) => [run, code]),
    [
      [1, 3],
      [2, 3],
      [3, 3],
    ],
  );
  t.match(machine.task('job').lastEnd, { code: 7 });
});

t.test('what a daemon left that was killed while it added or removed a task is no damaged task', async (t) => {
  const machine = await withMachine(t);
  await machine.add('web', { command: 'exec sleep 1000' });
  await machine.phase('web', 'running');
  await machine.letGo();
  const tasks = join(machine.folder, 'tasks');
  mkdirSync(join(tasks, 'begun'));
  writeFileSync(join(tasks, 'begun', 'task.json.new'), '{"defin');
  mkdirSync(join(tasks, '.removed-1', 'runs', '1'), { recursive: true });
  await machine.start();
  t.same([...machine.sitter.damaged()], []);
  t.same(readdirSync(tasks), ['web']);
  await machine.add('begun', { command: 'exec sleep 1000' });
  await machine.phase('begun', 'running');
  await machine.sitter.remove('begun');
  t.same(readdirSync(tasks), ['web']);
});

t.test('a removal that the end of the daemon comes between takes no files of a task that still runs', async (t) => {
  const machine = await withMachine(t);
  await machine.add('slow', { command: "trap 'sleep 1; exit 0' TERM; echo up; while :; do sleep 0.05; done" });
  const { pid } = await machine.phase('slow', 'running');
  await eventually(
    () => readFileSync(machine.sitter.log('slow', 'stdout').log(1)?.path ?? '', 'utf8') === 'up\n',
    'it listens',
  );
  const removal = machine.sitter.remove('slow');
  const refused = t.rejects(removal, { code: 'unavailable', message: /was not removed: the daemon is ending/ });
  await machine.letGo();
  await refused;
  t.ok(machine.processes.read(pid ?? 0), 'it still runs');
  await machine.start();
  t.match(await machine.phase('slow', 'stopped'), { run: 1, lastEnd: { code: 0, reason: 'user' } });
  await machine.sitter.remove('slow');
  t.same(readdirSync(join(machine.folder, 'tasks')), []);
});
