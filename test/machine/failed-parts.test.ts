import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { eventually } from '../suites/eventually.ts';
import { MachineUnderTest } from './machine-under-test.ts';

/** Processes that run a script of this data folder, by its name. */
function running(machine: MachineUnderTest, script: string): number[] {
  const path = join(machine.folder, script);
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && commandLine(pid).includes(path));
}

function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

t.test('whatever of the sitter fails is started again, and what runs runs on', async (t) => {
  const machine = new MachineUnderTest();
  await machine.start();
  t.teardown(() => machine.remove());
  await machine.add('first', { command: 'exec sleep 1000' });
  const { pid } = await machine.phase('first', 'running');
  const goesOn = (what: string): void => {
    t.match(machine.task('first'), { phase: 'running', pid, run: 1, restarts: 0 }, what);
  };

  await t.test('the launcher of shims', async (t) => {
    await eventually(() => running(machine, 'launcher.sh').length > 0, 'there is one');
    for (const launcher of running(machine, 'launcher.sh')) process.kill(launcher, 'SIGKILL');
    await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((id) => machine.add(id, { command: 'exec sleep 1000' })));
    const pids = new Set<number | null>();
    for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) pids.add((await machine.phase(id, 'running')).pid);
    t.equal(pids.size, 6, 'six more were started');
    goesOn('the first does not notice');
  });

  await t.test('shims that wait for a task', async (t) => {
    const { shim } = JSON.parse(readFileSync(join(machine.folder, 'tasks', 'first', 'runs', '1', 'run.json'), 'utf8'));
    const taken = new Set<number>([shim.pid]);
    for (const id of ['a', 'b', 'c', 'd', 'e', 'f'])
      taken.add(JSON.parse(readFileSync(join(machine.folder, 'tasks', id, 'runs', '1', 'run.json'), 'utf8')).shim.pid);
    const spares = running(machine, 'shim.sh').filter((one) => !taken.has(one) && !isTaskSide(one, taken));
    for (const spare of spares) process.kill(spare, 'SIGKILL');
    t.comment(`${spares.length} were killed`);
    await machine.add('after', { command: 'exit 3', allow_exit: true });
    await eventually(() => machine.task('after').lastEnd?.code === 3, 'the next task is started by another');
    goesOn('the first does not notice');
  });

  await t.test('its scripts and pipes', async (t) => {
    for (const name of ['launcher.sh', 'shim.sh', 'shims']) {
      t.ok(existsSync(join(machine.folder, name)), name);
      rmSync(join(machine.folder, name), { recursive: true });
    }
    goesOn('the first does not notice');
    await machine.letGo();
    await machine.start();
    await machine.add('last', { command: 'exit 4', allow_exit: true });
    await eventually(() => machine.task('last').lastEnd?.code === 4, 'they are there again with the next start');
    goesOn('the first is taken over');
  });
});

/** The half of a spare that will be the task shows the same script until it is told what to run. */
function isTaskSide(pid: number, shims: ReadonlySet<number>): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return shims.has(Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
  } catch {
    return true;
  }
}
