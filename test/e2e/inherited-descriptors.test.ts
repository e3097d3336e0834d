import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import type { RunRecord } from '../../core/machine/records/task-records.ts';
import { eventually } from '../suites/eventually.ts';
import { MachineDaemon } from './machine-daemon.ts';

/** Number -> what it leads to. */
function open(pid: number): Map<number, string> {
  const folder = `/proc/${pid}/fd`;
  const links = readdirSync(folder).map((name): [number, string] | undefined => {
    try {
      return [Number(name), readlinkSync(join(folder, name))];
    } catch {
      return undefined; // closed meanwhile
    }
  });
  return new Map(links.filter((link) => link !== undefined));
}

t.test('what a daemon was started with by mistake is closed, and reaches neither shims nor tasks', async (t) => {
  const daemon = new MachineDaemon();
  const file = join(daemon.folder, 'left open');
  writeFileSync(file, '');
  const listener = createServer((socket) => socket.resume());
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  t.teardown(() => listener.close());
  // Low and high numbers; a file, a folder, a device, a socket and both kinds of pipe ends.
  daemon.prelude = `
    exec 7<'${file}' 8</ 9</dev/zero 40>>'${file}' 200<'${file}'
    exec 10<>/dev/tcp/127.0.0.1/${(listener.address() as AddressInfo).port}
    exec 11< <(exec cat '${file}') 41> >(exec cat)`;
  await daemon.start();
  t.teardown(() => daemon.remove());
  await daemon.add('web', { command: 'exec sleep 1000' });
  await eventually(async () => (await daemon.tasks()).get('web')?.pid, 'it runs');
  const path = join(daemon.folder, 'tasks', 'web', 'runs', '1', 'run.json');
  await eventually(() => existsSync(path), 'its record is there');
  const { shim, leader } = JSON.parse(readFileSync(path, 'utf8')) as RunRecord;
  for (const [what, pid] of Object.entries({ daemon: daemon.pid, shim: shim.pid, task: leader.pid })) {
    const found = open(pid);
    t.notOk([...found.values()].includes(file), `${what}: no file`);
    t.notOk([...found.values()].includes('/'), `${what}: no folder`);
    // The daemon may have given a number of them to something of its own.
    for (const fd of what === 'daemon' ? [200] : [40, 41, 200]) t.notOk(found.has(fd), `${what}: no ${fd}`);
  }
  const own = open(daemon.pid);
  t.notOk(
    [7, 8, 9].some((fd) => own.get(fd) === '/dev/zero'),
    'nor the device',
  );
  t.same([...open(leader.pid).keys()].sort(), [0, 1, 2], 'a task has its three and nothing else');

  await t.test('and it works on: signals, requests, timers, new tasks', async (t) => {
    daemon.hangUp();
    await daemon.add('another', { command: 'exit 3', allow_exit: true });
    await eventually(async () => (await daemon.tasks()).get('another')?.lastEnd?.code === 3, 'it ended');
    await daemon.end('SIGTERM');
    await daemon.start();
    t.match((await daemon.tasks()).get('web'), { pid: leader.pid });
  });
});
