import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { eventually } from '../suites/eventually.ts';
import { MachineDaemon } from './machine-daemon.ts';

t.test('--stop-tasks ends each task as its own configuration says, and the daemon after the last', async (t) => {
  const daemon = new MachineDaemon(['--stop-tasks']);
  await daemon.start();
  t.teardown(() => daemon.remove());
  const { folder } = daemon;
  const loop = 'while :; do sleep 0.05; done';
  const tasks = {
    // It takes its time over its own signal, and leaves a word when it is done.
    polite: {
      command: `trap 'sleep 1; echo done >polite; exit 5' USR1; echo >listens; ${loop}`,
      stop_signal: 'SIGUSR1' as const,
    },
    deaf: { command: `trap '' TERM; echo deaf >deaf; ${loop}`, stop_timeout: 0.5 },
    family: { command: `setsid sleep 1000 & echo $! >family; exec sleep 1000`, stop_timeout: 5 },
    ended: { command: 'exit 3', allow_exit: true },
  };
  for (const [id, task] of Object.entries(tasks)) await daemon.add(id, { ...task, cwd: folder });
  await eventually(async () => (await daemon.tasks()).get('ended')?.lastEnd?.code === 3, 'one has ended by itself');
  await eventually(
    () => ['listens', 'deaf', 'family'].every((name) => existsSync(join(folder, name))),
    'the others are under way',
  );
  const pids = [...(await daemon.tasks()).values()].flatMap(({ pid }) => pid ?? []);
  pids.push(Number(readFileSync(join(folder, 'family'), 'utf8')));
  t.equal(pids.length, 4);
  await daemon.end('SIGTERM');
  t.equal(readFileSync(join(folder, 'polite'), 'utf8'), 'done\n', 'the daemon has waited for it');
  for (const pid of pids) t.notOk(isAlive(pid), `${pid} has ended`);

  writeFileSync(join(folder, 'polite'), '');
  await daemon.start();
  await eventually(
    async () => [...(await daemon.tasks()).values()].filter(({ phase }) => phase === 'running').length === 3,
    'what ran runs again',
  );
  const after = await daemon.tasks();
  t.match(after.get('polite'), { run: 2, lastEnd: { reason: 'user', code: 5 } });
  t.match(after.get('deaf'), { run: 2, lastEnd: { reason: 'user', signal: 'SIGKILL' } });
  t.match(after.get('ended'), { run: 1, phase: 'failed' }, 'and what had ended has not');
});

function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
  } catch {
    return false;
  }
}
