import { statSync } from 'node:fs';
import t, { type Test } from 'tap';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { Cgroup2Enforcer } from '../../plugins/enforcer-cgroup2/cgroup2-enforcer.ts';
import { needsCgroup2 } from '../fakes/needs.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { eventually } from '../suites/eventually.ts';
import { MachineUnderTest } from './machine-under-test.ts';

const inGuest = process.env.CEREBRO_VM === '1';
t.setTimeout(inGuest ? 600_000 : 120_000);

const hog = (mb: number): string =>
  `${process.execPath} -e 'const b = Buffer.alloc(${mb} * 1048576, 1); setInterval(() => b[0]++, 1000)'`;

async function cgroup2Machine(t: Test): Promise<MachineUnderTest | null> {
  const machine = new MachineUnderTest(undefined, 'cgroup2');
  const services = {
    clock: new SystemClock(),
    logger: silentLogger,
    processes: machine.processes,
    dataDir: machine.folder,
  };
  if (needsCgroup2(t, await new Cgroup2Enforcer(services, { mount: '/sys/fs/cgroup' }).probe())) return null;
  await machine.start();
  t.teardown(() => machine.remove());
  return machine;
}

t.test(
  'out of memory: the task is killed as a group, called so with the numbers, started again, and nobody else is touched',
  async (t) => {
    const machine = await cgroup2Machine(t);
    if (!machine) return;
    await machine.add('bystander', { command: 'exec sleep 1000', ensure_alive: true, mem: 64 });
    const bystander = await machine.phase('bystander', 'running');
    await machine.add('hog', {
      command: `exec sleep 1000 & ${hog(200)}`,
      mem: 60,
      restart: true,
      backoff: { first: 1000, then: 1000, factor: 1, max: 1000, reset_after: 60 },
    });
    const after = await machine.phase('hog', 'backoff');
    t.equal(after.lastEnd?.reason, 'mem');
    t.match(after.reason, /killed by the kernel at its limit, \d+ of 60 MB \(oom_kill \d+\)/);
    t.equal(after.lastEnd?.memLimitBytes, 60 * 1024 * 1024);
    t.ok((after.lastEnd?.oomKills ?? 0) > 0);
    t.ok((after.lastEnd?.peakMemBytes ?? 0) > 50 * 1024 * 1024);
    t.equal(after.limits.enforcer, 'cgroup2');
    t.equal(after.limits.holds.mem, 'hard');
    const untouched = await machine.phase('bystander', 'running');
    t.equal(untouched.pid, bystander.pid);
    t.equal(untouched.run, 1);
  },
);

t.test('what ran out of memory while no daemon was there is called so by the next', async (t) => {
  const machine = await cgroup2Machine(t);
  if (!machine) return;
  await machine.add('hog', { command: `sleep 2; exec ${hog(200)}`, mem: 60, allow_exit: true });
  const { pid } = await machine.phase('hog', 'running');
  await machine.letGo();
  await eventually(() => machine.processes.read(pid ?? 0) === undefined, 'the kernel has ended it');
  await machine.start();
  const after = await machine.phase('hog', 'failed');
  t.equal(after.lastEnd?.reason, 'mem');
});

t.test('near its memory it is warned of, and shown so for as long as it is', async (t) => {
  const machine = await cgroup2Machine(t);
  if (!machine) return;
  await machine.add('near', { command: `exec ${hog(150)}`, mem: 400, limits: { mem_warn: 0.3 } });
  await eventually(() => machine.task('near').warnings.length > 0, 'it is shown');
  t.match(machine.task('near').warnings[0], /of 400 MB in use/);
  t.ok(machine.sitter.events.since(0).some(({ kind }) => kind === 'task-warning'));
});

t.test('a throttled task shows for how long it was held back', async (t) => {
  const machine = await cgroup2Machine(t);
  if (!machine) return;
  await machine.add('busy', { command: 'while :; do :; done', cpu: 0.2 });
  await eventually(() => (machine.task('busy').usage?.throttledSeconds ?? 0) > 0.5, 'it was held back');
  t.ok((machine.task('busy').usage?.cpu ?? 1) < 0.35);
});

t.test('io: direct writes are held to their bytes a second', async (t) => {
  const disk = process.env.CEREBRO_VM_DISK;
  const folder = process.env.CEREBRO_VM_EXT4;
  if (!inGuest || disk === undefined || folder === undefined)
    return t.comment('left to npm run test:vm: it needs a disk of its own');
  const machine = await cgroup2Machine(t);
  if (!machine) return;
  const write = `dd if=/dev/zero of=${folder}/out bs=64k count=96 oflag=direct 2>/dev/null`;
  await machine.add('slow', { command: write, allow_exit: true, limits: { io: { device: disk, wbps: '2MB' } } });
  const { lastEnd } = await machine.phase('slow', 'exited');
  t.equal(statSync(`${folder}/out`).size, 6 * 1024 * 1024);
  const took = Date.parse(lastEnd?.endedAt ?? '') - Date.parse(lastEnd?.startedAt ?? '');
  t.ok(took >= 2500, `6 MB at 2 MB/s took ${took} ms`);
  await t.rejects(
    machine
      .add('lost', { command: 'true', limits: { io: { device: '/dev/null', wbps: 1000 } }, allow_exit: true })
      .then(async () => {
        const { lastEnd } = await machine.phase('lost', 'failed');
        throw new Error(lastEnd?.sentence);
      }),
    /the device \/dev\/null cannot be limited: it is no block device/,
  );
});
