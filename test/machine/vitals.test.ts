import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Clock } from '../../core/contracts/clock.ts';
import { FILE_BYTES } from '../../core/decide/vitals/history-ring.ts';
import { MinuteOfHistory } from '../../core/decide/vitals/minute-of-history.ts';
import { CerebroError } from '../../core/errors.ts';
import { HistoryFile } from '../../core/machine/records/history-file.ts';
import { taskFolderName } from '../../core/machine/records/task-files.ts';
import { Vitals } from '../../core/machine/vitals.ts';
import type { TaskStatus } from '../../core/model/task.ts';
import type { MachineVitals } from '../../core/model/vitals.ts';
import { runningTask } from '../fakes/fake-cluster-api.ts';
import { silentLogger } from '../fakes/silent-logger.ts';

const START = Date.parse('2026-01-02T03:04:05.000Z');

/** Time that goes on when it is told to. */
class ManualClock implements Clock {
  #now = START + 1234;
  #timers = new Set<{ at: number; callback: () => void }>();

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now - START;
  }

  timer(ms: number, callback: () => void): { cancel(): void } {
    const timer = { at: this.#now + ms, callback };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  get armed(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.#timers.delete(next);
      this.#now = next.at;
      next.callback();
    }
    this.#now = until;
  }
}

interface Fixture {
  folder: string;
  clock: ManualClock;
  tasks: TaskStatus[];
  start(): Promise<Vitals>;
}

function fixture(t: Test): Fixture {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-vitals-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));
  const clock = new ManualClock();
  const tasks: TaskStatus[] = [];
  const sitter = {
    tasks: () => [...tasks],
    task: (id: string) => {
      const task = tasks.find((one) => one.id === id);
      if (!task) throw new CerebroError('not_found', `no ${id}`);
      return task;
    },
  };
  const start = async (): Promise<Vitals> => {
    const vitals = new Vitals({ dataDir: folder, sitter, clock, logger: silentLogger });
    await vitals.start();
    t.teardown(() => vitals.stop());
    return vitals;
  };
  return { folder, clock, tasks, start };
}

function addTask({ folder, tasks }: Fixture, id: string): string {
  const own = join(folder, 'tasks', taskFolderName(id));
  mkdirSync(own, { recursive: true });
  tasks.push(runningTask(id, id));
  return own;
}

const known = (values: (number | null)[] | undefined): number[] => (values ?? []).filter((value) => value !== null);

t.test('what this host says makes sense, at once and after a sample', async (t) => {
  const { clock, start } = fixture(t);
  const vitals = await start();
  const { host } = vitals.now();
  t.ok(host.memory.totalBytes > host.memory.availableBytes && host.memory.availableBytes > 0);
  t.ok(host.disk.totalBytes >= host.disk.usedBytes && host.disk.totalBytes > 0);
  t.ok(host.cpu.cores >= 1 && host.cpu.perCore.length === host.cpu.cores);
  t.ok(host.uptimeSeconds > 0);
  clock.advance(4000);
  t.equal(vitals.now().host.seconds.toFixed(0), '4', 'from the start to the first whole five seconds');
  t.ok(vitals.now().host.cpu.used <= host.cpu.cores);
});

t.test('every five seconds there is a point of the machine and of each task; a stopped task has a gap', async (t) => {
  const all = fixture(t);
  addTask(all, 'Portal Server');
  const vitals = await all.start();
  const samples: MachineVitals[] = [];
  vitals.onSample((sample) => samples.push(sample));
  all.clock.advance(20_000);
  t.equal(samples.length, 4);
  t.equal(samples[1]?.tasks[0]?.id, 'Portal Server');
  const machine = vitals.history('machine', 'hour');
  t.equal(machine.of, 'machine');
  t.equal(known(machine.series.memBytes).length, 4);
  t.strictSame(known(vitals.history('Portal Server', 'hour').series.cpu), [0.12, 0.12, 0.12, 0.12]);
  t.equal(known(vitals.history('task:Portal Server', 'hour').series.writeRate).length, 4);
  const [task] = all.tasks;
  // Between two runs nothing is taken, but how often it was started again is known.
  if (task) Object.assign(task, { usage: null, phase: 'backoff', restarts: 3 });
  all.clock.advance(5000);
  if (task) task.phase = 'stopped';
  all.clock.advance(5000);
  const { series } = vitals.history('Portal Server', 'hour');
  t.strictSame(series.cpu?.slice(-3), [0.12, null, null]);
  t.strictSame(series.restarts?.slice(-3), [2, 3, null]);
  t.throws(() => vitals.history('nobody', 'hour'), { code: 'not_found' });
});

t.test('the day has the average of each minute', async (t) => {
  const all = fixture(t);
  addTask(all, 'web');
  const vitals = await all.start();
  const [task] = all.tasks;
  const use = (cpu: number): void => {
    if (task?.usage) task.usage = { ...task.usage, cpu };
  };
  all.clock.advance(60_000 - (all.clock.now() % 60_000) + 100); // into a minute whose first sample was taken
  use(1);
  all.clock.advance(30_000);
  use(2);
  all.clock.advance(25_000);
  const day = vitals.history('web', 'day');
  t.equal(day.stepSeconds, 60);
  t.equal(day.series.cpu?.length, 1440);
  // 0.12 at second 0, six times 1, five times 2
  t.equal(day.series.cpu?.at(-1)?.toFixed(3), ((0.12 + 6 + 10) / 12).toFixed(3));
});

t.test('the past survives a restart, and is not lost or doubled by it', async (t) => {
  const all = fixture(t);
  addTask(all, 'web');
  const first = await all.start();
  all.clock.advance(15_000);
  await first.stop();
  t.equal(all.clock.armed, 0, 'no timer is left');
  all.clock.advance(10_000);
  const second = await all.start();
  all.clock.advance(10_000);
  const { series } = second.history('web', 'hour');
  t.strictSame(series.cpu?.slice(-7), [0.12, 0.12, 0.12, null, null, 0.12, 0.12]);
});

t.test('a damaged file costs only its own past', async (t) => {
  const all = fixture(t);
  const own = addTask(all, 'web');
  const vitals = await all.start();
  all.clock.advance(10_000);
  const machineFile = join(all.folder, 'history');
  for (const damage of [
    () => writeFileSync(machineFile, 'nonsense'),
    () => truncateSync(machineFile, 0),
    () => truncateSync(machineFile, 100),
    () => writeFileSync(machineFile, Buffer.alloc(10 * FILE_BYTES, 7)),
  ]) {
    damage();
    t.equal(known(vitals.history('machine', 'hour').series.load).length, 0);
    all.clock.advance(5000);
    t.equal(known(vitals.history('machine', 'hour').series.load).length, 1);
    t.equal(statSync(machineFile).size, FILE_BYTES);
  }
  t.equal(known(vitals.history('web', 'hour').series.cpu).length, 6, 'the task’s own is whole');
  rmSync(machineFile);
  mkdirSync(machineFile);
  all.clock.advance(5000);
  t.equal(known(vitals.history('machine', 'hour').series.load).length, 0, 'a file that cannot be written is missing');
  t.equal(known(vitals.history('web', 'hour').series.cpu).length, 7, 'and nothing else');
  rmSync(machineFile, { recursive: true });
  t.ok(existsSync(own));
});

t.test('a task whose folder is gone brings no file back and no error', async (t) => {
  const all = fixture(t);
  const own = addTask(all, 'web');
  addTask(all, 'worker');
  const vitals = await all.start();
  rmSync(own, { recursive: true });
  all.clock.advance(5000);
  t.notOk(existsSync(own));
  t.equal(known(vitals.history('worker', 'hour').series.cpu).length, 1);
});

t.test(
  'with many tasks, points wait up to a minute for their file, and are there for whoever asks and for the next daemon',
  async (t) => {
    const all = fixture(t);
    const [asked = '', other = ''] = Array.from({ length: 60 }, (_, n) => addTask(all, `task-${n}`));
    const vitals = await all.start();
    const turns = async (): Promise<void> => {
      for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
    };
    all.clock.advance(15_000);
    await turns();
    t.notOk(existsSync(join(other, 'history')), 'not yet');
    t.equal(known(vitals.history('task-0', 'hour').series.cpu).length, 3);
    t.ok(existsSync(join(asked, 'history')), 'what is asked for is put down');
    for (let i = 0; i < 12; i++) {
      all.clock.advance(5000);
      await turns();
    }
    t.ok(existsSync(join(other, 'history')), 'after a minute');
    await vitals.stop();
    const next = await all.start();
    t.equal(
      known(next.history('task-1', 'hour').series.cpu).length,
      15,
      'what waited is put down by the end of the daemon',
    );
  },
);

function minuteWith(atMs: number, values: number[]): MinuteOfHistory {
  const minute = new MinuteOfHistory(atMs);
  minute.put(atMs, values);
  return minute;
}

t.test('a file does not grow, however long it is written', async (t) => {
  const { folder } = fixture(t);
  const path = join(folder, 'long');
  const file = new HistoryFile(path, ['a']);
  for (let i = 0; i < 3000; i++) file.add(minuteWith(START + i * 5000, [i]));
  t.equal(statSync(path).size, FILE_BYTES);
  const now = START + 2999 * 5000;
  t.strictSame(file.history('x', 'hour', now).series.a?.slice(0, 2), [2280, 2281]);
  t.equal(known(file.history('x', 'day', now).series.a).length, 251, 'the minutes that it touched');
  t.equal(
    known(file.history('x', 'hour', now + 2 * 3_600_000).series.a).length,
    0,
    'two hours later none of it is of the last',
  );
});
