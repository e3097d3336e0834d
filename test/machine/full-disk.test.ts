import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { systemCode } from '../../core/errors.ts';
import { firstOffset, readLog } from '../../core/machine/logs/log-file.ts';
import { LogKeeper } from '../../core/machine/logs/log-keeper.ts';
import { EventLog } from '../../core/machine/records/event-log.ts';
import type { LogCondition } from '../../core/model/task.ts';
import { skipUnless } from '../fakes/needs.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { eventually } from '../suites/eventually.ts';
import { definition, MachineUnderTest } from './machine-under-test.ts';

const KB = 1024;
const MB = 1024 * KB;

/** A file system of 16 MB of our own; null where we may not mount. */
class SmallDisk {
  readonly folder: string;
  readonly #filler: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.#filler = join(folder, 'something else');
  }

  static mount(): SmallDisk | null {
    const folder = mkdtempSync(join(tmpdir(), 'cerebro-disk-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', folder], { stdio: 'ignore' });
      return new SmallDisk(folder);
    } catch {
      rmSync(folder, { recursive: true, force: true, maxRetries: 30 });
      return null;
    }
  }

  unmount(): void {
    // What was killed a moment ago may still have a file of it open.
    execFileSync('umount', ['--lazy', this.folder]);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 30 });
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.folder);
    return bavail * bsize;
  }

  /** Takes all the room that there is, but for `left` bytes. */
  fill(left = 0): void {
    const file = openSync(this.#filler, 'a');
    try {
      const page = Buffer.alloc(4096, 1);
      while (this.freeBytes > left) writeSync(file, page);
    } catch (error) {
      if (systemCode(error) !== 'ENOSPC') throw error;
    } finally {
      closeSync(file);
    }
  }

  makeRoom(): void {
    rmSync(this.#filler, { force: true });
  }
}

const test = (name: string, body: (t: Test, disk: SmallDisk) => Promise<void>): void => {
  t.test(name, async (t) => {
    const disk = SmallDisk.mount();
    const what = 'this test mounts a small tmpfs, which takes root (CAP_SYS_ADMIN)';
    if (skipUnless(t, disk !== null, what) || disk === null) return;
    t.teardown(() => disk.unmount());
    await body(t, disk);
  });
};

const onMachine = (name: string, body: (t: Test, machine: MachineUnderTest, disk: SmallDisk) => Promise<void>): void =>
  test(name, async (t, disk) => {
    const machine = new MachineUnderTest(disk.folder);
    await machine.start();
    t.teardown(() => machine.remove());
    await body(t, machine, disk);
  });

/** A folder on another disk, for what tasks are to be told while theirs is full. */
function folderElsewhere(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-full-disk-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));
  return folder;
}

/** Writes lines of 1 KB and a number each, whether they find room or not, until there is a file `quiet` in its folder. */
const LOUD = `trap 'exit 5' TERM
  x=$(printf '%01000d' 0)
  n=0
  while :; do
    n=$((n + 1))
    echo "$n $x"
    [ $((n % 100)) -eq 0 ] || continue
    sleep 0.005
    while [ -e quiet ]; do sleep 0.05; done
  done 2>/dev/null`;

/** Waits for a file in its folder, and ends with 7. */
const LEAVES = 'while [ ! -e leave ]; do sleep 0.05; done; exit 7';

const AT_ONCE = { first: 0, then: 0.1, factor: 1, max: 0.1, reset_after: 600 };

async function lastLines(machine: MachineUnderTest, id: string): Promise<string[]> {
  const source = machine.sitter.log(id, 'stdout');
  const options = {
    run: machine.task(id).run,
    tail: 5,
    offset: undefined,
    follow: false,
    signal: new AbortController().signal,
  };
  const chunks: Buffer[] = [];
  for await (const chunk of readLog(source, await firstOffset(source, options), options)) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1').split('\n').slice(0, -1);
}

/** A task that writes without end on a disk that has 6 MB for it, up to when there is room again. */
async function livesThroughIt(
  t: Test,
  machine: MachineUnderTest,
  disk: SmallDisk,
  logs: { max_bytes?: string },
): Promise<void> {
  const folder = folderElsewhere(t);
  disk.fill(6 * MB);
  await machine.add('loud', { command: LOUD, cwd: folder, logs });
  await machine.add('web', { command: 'exec sleep 1000', allow_exit: true });
  const { pid } = await machine.phase('loud', 'running');
  await machine.phase('web', 'running');
  const condition = (): LogCondition | null => machine.task('loud').logs;
  await eventually(() => condition()?.diskFullSince, 'it is noticed that the disk is full');
  t.ok(
    machine.sitter.events.since(0).some(({ kind, level }) => kind === 'disk-full' && level === 'error'),
    'an event says so',
  );
  await eventually(() => (condition()?.trimmedBytes ?? 0) > 0, 'old lines make room');
  const { trimmedBytes } = condition() ?? { trimmedBytes: 0 };
  await eventually(() => (condition()?.trimmedBytes ?? 0) > trimmedBytes, 'and again');
  t.equal(condition()?.lostBytes, 0);
  t.match(machine.task('loud'), { phase: 'running', run: 1, pid }, 'it goes on all the time');
  t.match(machine.task('web'), { phase: 'running', run: 1 }, 'and so does the other');
  disk.makeRoom();
  writeFileSync(join(folder, 'quiet'), '');
  await eventually(() => condition()?.diskFullSince === null, 'there is room again, and it is known');
  rmSync(join(folder, 'quiet'));
  await eventually(async () => {
    const numbers = (await lastLines(machine, 'loud')).map((line) => Number(/^(\d+) 0{1000}$/.exec(line)?.[1]));
    return numbers.length === 5 && numbers.every((n, i) => i === 0 || n === (numbers[i - 1] ?? 0) + 1);
  }, 'its lines are whole again, one after the other');
  t.match(machine.task('loud'), { phase: 'running', run: 1, pid });
  machine.sitter.act('loud', 'stop', 'a test');
  t.equal((await machine.phase('loud', 'stopped')).lastEnd?.code, 5, 'it can be stopped as ever');
}

onMachine(
  'a task writes without end, its log could be larger than the disk: both live through it',
  (t, machine, disk) => livesThroughIt(t, machine, disk, { max_bytes: '20MB' }),
);

onMachine(
  'so it is with the size that a log has by default, of which the disk never had a quarter',
  (t, machine, disk) => livesThroughIt(t, machine, disk, {}),
);

onMachine('an exit code is known though the disk is full', async (t, machine, disk) => {
  const folder = folderElsewhere(t);
  await machine.add('job', { command: LEAVES, cwd: folder, allow_exit: true });
  await machine.phase('job', 'running');
  await new Promise((resolve) => setTimeout(resolve, 300)); // what is written after its start is written
  disk.fill();
  t.throws(() => appendFileSync(join(disk.folder, 'any'), 'x'), { code: 'ENOSPC' });
  writeFileSync(join(folder, 'leave'), '');
  t.match((await machine.phase('job', 'failed')).lastEnd, { code: 7, reason: 'exit' });
  await machine.letGo();
  await machine.start();
  t.match(await machine.phase('job', 'failed'), { run: 1, lastEnd: { code: 7 } }, 'the next daemon knows it too');
});

onMachine(
  'an exit code is known of a task that ended on a full disk while no daemon was there',
  async (t, machine, disk) => {
    const folder = folderElsewhere(t);
    await machine.add('job', { command: LEAVES, cwd: folder, allow_exit: true });
    await machine.add('web', { command: 'exec sleep 1000' });
    await machine.phase('job', 'running');
    const { pid } = await machine.phase('web', 'running');
    await new Promise((resolve) => setTimeout(resolve, 300)); // what is written after its start is written
    await machine.letGo();
    disk.fill();
    writeFileSync(join(folder, 'leave'), '');
    const exit = join(machine.folder, 'tasks', 'job', 'runs', '1', 'exit');
    await eventually(() => readFileSync(exit, 'utf8').startsWith('7\n'), 'it has ended');
    await machine.start();
    t.match((await machine.phase('job', 'failed')).lastEnd, { code: 7, reason: 'exit' });
    t.match(await machine.phase('web', 'running'), { pid, run: 1 }, 'and what lives is taken over');
    disk.makeRoom();
    machine.sitter.act('job', 'start', 'a test');
    t.match((await machine.phase('job', 'failed', 2)).lastEnd, { run: 2, code: 7 }, 'with room again all is as ever');
  },
);

for (const [what, settings] of [
  ['that is kept alive', { ensure_alive: true }],
  ['that is not kept alive, and may not exit', {}],
] as const) {
  onMachine(
    `a task ${what} ends on a full disk: it is started again there, or when there is room`,
    async (t, machine, disk) => {
      await machine.add('web', { command: 'exec sleep 1000', backoff: AT_ONCE, ...settings });
      const first = await machine.phase('web', 'running');
      disk.fill();
      process.kill(first.pid ?? 0, 'SIGKILL');
      await eventually(() => machine.task('web').restarts > 0, 'it is started again');
      disk.makeRoom();
      const again = await machine.phase('web', 'running', 2);
      t.not(again.pid, first.pid);
      await eventually(() => machine.task('web').logs?.method === 'punch', 'and its logs are held to their size');
    },
  );
}

onMachine('a restart by hand on a full disk works there, or when there is room', async (t, machine, disk) => {
  await machine.add('web', { command: 'exec sleep 1000', backoff: AT_ONCE });
  const first = await machine.phase('web', 'running');
  disk.fill();
  machine.sitter.act('web', 'restart', 'a test');
  await eventually(() => machine.task('web').run > 1, 'it is started again');
  disk.makeRoom();
  t.not((await machine.phase('web', 'running', 2)).pid, first.pid);
  await machine.letGo();
  await machine.start();
  const { run } = await machine.phase('web', 'running');
  t.equal(machine.task('web').run, run, 'and what is on disk is what is');
});

onMachine(
  'a task that is added on a full disk is refused, and one that is started there runs when there is room',
  async (t, machine, disk) => {
    const web = { command: 'exec sleep 1000', backoff: AT_ONCE };
    disk.fill();
    await t.rejects(machine.add('web', web), { code: 'no_space', message: /nothing was changed/ });
    t.same(machine.sitter.tasks(), []);
    disk.makeRoom();
    await machine.sitter.put(definition('web', web), { start: false });
    disk.fill();
    machine.sitter.act('web', 'start', 'test');
    await eventually(() => machine.task('web').restarts > 0, 'it was tried');
    t.match(machine.task('web').reason, /ENOSPC|no space/i);
    disk.makeRoom();
    const { pid, run } = await machine.phase('web', 'running');
    await machine.letGo();
    await machine.start();
    t.match(await machine.phase('web', 'running'), { pid, run });
  },
);

/** A log of 1 MB on a full disk, of a run that began before it was full (`known`) or not. */
async function keptOnFullDisk(disk: SmallDisk, known: boolean): Promise<LogCondition> {
  const place = { path: join(disk.folder, 'stdout'), positionPath: join(disk.folder, 'stdout.position') };
  writeFileSync(place.path, `${'x'.repeat(63)}\n`.repeat((1 * MB) / 64));
  const keeper = (): LogKeeper =>
    new LogKeeper({ clock: new SystemClock(), logger: silentLogger, onDiskFull: () => undefined });
  if (known) {
    const before = keeper();
    const held = before.keep([place], 2 * MB);
    await eventually(() => held.condition.method === 'punch', 'it was kept before');
    await before.stop();
  }
  disk.fill();
  const now = keeper();
  const kept = now.keep([place], 128 * KB);
  try {
    await eventually(() => kept.condition.trimmedBytes > 0, 'its head is taken off');
    return kept.condition;
  } finally {
    await now.stop();
  }
}

test('a log that a new daemon takes up on a full disk is held to its size, and no new line is lost by that', async (t, disk) => {
  t.match(await keptOnFullDisk(disk, true), { method: 'punch', lostBytes: 0 });
});

test('a log of a run that began on a full disk is held to its size', async (t, disk) => {
  t.equal((await keptOnFullDisk(disk, false)).lostBytes, 0);
});

test('an event that found no room does not take the next one with it, and no number is given twice', async (t, disk) => {
  const log = new EventLog(disk.folder, new SystemClock(), silentLogger);
  const event = (message: string): void => log.add({ level: 'info', kind: 'test', message });
  event('before');
  disk.fill();
  for (let i = 0; i < 100; i++) event(`on a full disk ${i}`);
  disk.makeRoom();
  event('after');
  event('last');
  t.equal(log.since(0).length, 103, 'who listens hears of all of them');
  const next = new EventLog(disk.folder, new SystemClock(), silentLogger);
  next.load();
  const kept = next.since(0).map(({ message }) => message);
  t.equal(kept[0], 'before');
  t.same(kept.slice(-2), ['after', 'last'], 'what came when there was room is there');
  next.add({ level: 'info', kind: 'test', message: 'new' });
  t.equal(next.since(0).at(-1)?.seq, 104);
});

onMachine('starts that came to nothing on a full disk leave nothing behind', async (t, machine, disk) => {
  const shims = (): number => processesWith(join(machine.folder, 'shim.sh'));
  await machine.sitter.put(definition('web', { command: 'exec sleep 1000', backoff: AT_ONCE }), { start: false });
  disk.fill();
  machine.sitter.act('web', 'start', 'test');
  await eventually(() => machine.task('web').restarts > 12, 'it was tried often');
  t.ok(shims() < 12, 'there are the spares, and the one of the present start');
  disk.makeRoom();
  await machine.phase('web', 'running');
  await machine.sitter.remove('web');
  await machine.letGo();
  await eventually(() => shims() === 0, 'all of them end with the daemon');
});

/** How many processes have a text in their command line. */
function processesWith(text: string): number {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(text);
    } catch {
      return false; // it has ended meanwhile
    }
  }).length;
}
