import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { TaskStatus } from '../../core/model/task.ts';
import { eventually } from '../suites/eventually.ts';
import { MachineDaemon } from './machine-daemon.ts';

const TASKS = process.env.CEREBRO_VM === '1' ? 30 : 100; // a guest starts processes slowly
t.setTimeout(process.env.CEREBRO_VM === '1' ? 900_000 : 240_000);

/** Waits for the number that it is to exit with; no process but itself, and nothing to do in between. */
const waits = (folder: string): string =>
  `echo "hello of $CEREBRO_COPY"; mkfifo '${folder}/'"$CEREBRO_COPY"; read -r code <'${folder}/'"$CEREBRO_COPY"; echo "bye $code"; exit "$code"`;

/** Stop and upgrade are one and the same for what runs: SIGTERM, and another daemon on the same folder. */
for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  t.test(
    `${TASKS} tasks outlive ${signal === 'SIGTERM' ? 'a stop and an upgrade' : 'a kill -9'} of their daemon`,
    async (t) => {
      const daemon = new MachineDaemon();
      await daemon.start();
      t.teardown(() => daemon.remove());
      const names = Array.from({ length: TASKS }, (_, n) => `task-${n}`);
      for (const name of names)
        await daemon.add(name, { command: waits(daemon.folder), mem: 64, allow_exit: true, limits: { pids: 20 } });
      const running = async (wanted: number): Promise<Map<string, TaskStatus>> => {
        let tasks = new Map<string, TaskStatus>();
        await eventually(
          async () => {
            tasks = await daemon.tasks();
            return (
              [...tasks.values()].filter(({ phase, pid }) => phase === 'running' && pid !== null).length === wanted
            );
          },
          `${wanted} tasks run`,
          120_000,
        );
        return tasks;
      };
      const before = await running(TASKS);
      const enforcer = before.get('task-0')?.limits.enforcer;
      if (process.env.CEREBRO_VM === '1') t.equal(enforcer, 'cgroup2');

      await daemon.end(signal);
      const leavers = names.slice(0, TASKS / 5);
      for (const [code, name] of leavers.entries()) {
        await eventually(() => tell(join(daemon.folder, name), `${code}\n`), `${name} listens`);
      }
      const stays = names.slice(TASKS / 5);
      await eventually(() => leavers.every((name) => !isThere(before.get(name)?.pid ?? 0)), 'those have ended');
      await daemon.start();

      const after = await running(stays.length);
      for (const name of stays) {
        const [then, now] = [before.get(name), after.get(name)];
        if (then?.pid !== now?.pid || now?.run !== 1 || now.restarts !== 0)
          t.fail(`${name} was pid ${then?.pid}, is pid ${now?.pid} in run ${now?.run}`);
      }
      t.equal(after.get('task-29')?.limits.enforcer, enforcer);
      for (const [code, name] of leavers.entries()) {
        const end = after.get(name)?.lastEnd;
        if (end?.code !== code || end.reason !== 'exit')
          t.fail(`${name} ended with ${code}, known is ${JSON.stringify(end)}`);
      }
      t.same([...after.keys()].sort(), [...names].sort(), 'none is lost, none is new');

      // Its log goes on where it was, and so do offsets into it.
      await eventually(() => tell(join(daemon.folder, 'task-25'), '7\n'), 'task-25 listens');
      await eventually(async () => (await daemon.tasks()).get('task-25')?.lastEnd?.code === 7, 'its end is known');
      const log = join(daemon.folder, 'tasks', 'task-25', 'runs', '1', 'stdout');
      t.equal(readFileSync(log, 'utf8'), 'hello of task-25\nbye 7\n');
      await eventually(async () => (await daemon.runs('task-25')).length === 1, 'its post-mortem is written');
      const [end] = await daemon.runs('task-25');
      t.match(end, { run: 1, code: 7, enforcer });
    },
  );
}

/** false: nobody reads there yet. What is written into a pipe before is lost. */
function tell(pipe: string, text: string): boolean {
  let fd: number;
  try {
    fd = openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return false;
  }
  writeSync(fd, text);
  closeSync(fd);
  return true;
}

function isThere(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
  } catch {
    return false;
  }
}
