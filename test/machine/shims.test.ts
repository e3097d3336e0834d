import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { ProcessId } from '../../core/contracts/process-table.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { ProcTable } from '../../core/machine/proc-table.ts';
import { NO_STATUS, readExitFile } from '../../core/machine/shim/exit-file.ts';
import type { Shim } from '../../core/machine/shim/shim.ts';
import type { ShimOrder } from '../../core/machine/shim/shim-script.ts';
import { Shims } from '../../core/machine/shim/shims.ts';
import { Turns } from '../../core/machine/shim/turns.ts';
import { eventually } from '../suites/eventually.ts';

const processes = new ProcTable();
const PATH = process.env.PATH ?? '';

interface Fixture {
  folder: string;
  shims: Shims;
}

/** `spares`: 0 unless a test is about them. */
function fixture(t: Test, spares = 0, env: Record<string, string> = { PATH }, table = processes): Fixture {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-shims-'));
  const shims = new Shims({ folder, env, clock: new SystemClock(), processes: table, spares });
  shims.start();
  t.teardown(async () => {
    await shims.stop();
    await eventually(() => running(folder).length === 0, 'nothing of it is left');
    rmSync(folder, { recursive: true, force: true, maxRetries: 30 });
  });
  return { folder, shims };
}

/** The processes that have the folder in their command line: launcher and shims. */
function running(folder: string, script = ''): number[] {
  return processes.pids().filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(`${join(folder, script)}`);
    } catch {
      return false; // it has ended meanwhile
    }
  });
}

const launcherOf = (folder: string): number[] => running(folder, 'launcher.sh');

function orderIn(folder: string, command: string, more: Partial<ShimOrder> = {}): ShimOrder {
  const runFolder = mkdtempSync(join(folder, 'run-'));
  writeFileSync(join(runFolder, 'exit'), NO_STATUS);
  return {
    runFolder,
    marker: 'mark',
    cgroupProcs: null,
    cwd: '/',
    command,
    become: [],
    env: { PATH },
    stdout: join(runFolder, 'stdout'),
    stderr: join(runFolder, 'stderr'),
    ...more,
  };
}

function endOf(shim: Shim, order: ShimOrder): Promise<number | null> {
  return new Promise((resolve) => shim.begin(order, resolve));
}

function isAlive({ pid, startTime }: ProcessId): boolean {
  const info = processes.read(pid);
  return info?.startTime === startTime && info.state !== 'Z';
}

/** Where the open files of this process are. */
function linksOfOwnFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // the list's own, which is closed by now
    }
  });
}

t.test('what a shim and its task’s side are is known before the order; the status is told, and kept', async (t) => {
  const { folder, shims } = fixture(t);
  const shim = await shims.take();
  t.equal(processes.read(shim.leader.pid)?.ppid, shim.pid);
  t.equal(processes.read(shim.leader.pid)?.session, shim.leader.pid, 'it leads a session of its own');
  const order = orderIn(folder, 'echo "$$ $CEREBRO_RUN"; echo oops >&2; exit 7');
  t.equal(await endOf(shim, order), 7);
  t.equal(readFileSync(order.stdout, 'utf8'), `${shim.leader.pid} mark\n`);
  t.equal(readFileSync(order.stderr, 'utf8'), 'oops\n');
  t.equal(readExitFile(join(order.runFolder, 'exit')), 7);
});

t.test('a task has no signal ignored, and no file of the shim’s open', async (t) => {
  const { folder, shims } = fixture(t);
  const order = orderIn(
    folder,
    'grep SigIgn: /proc/self/status; for fd in 3 4 5 6 9; do readlink /proc/$$/fd/$fd; done',
  );
  await endOf(await shims.take(), order);
  const [ignored, files] = readFileSync(order.stdout, 'utf8').split('\n');
  t.match(ignored, /SigIgn:\s+0+$/);
  t.equal(files, '');
});

t.test('an order may be longer than a pipe holds', async (t) => {
  const { folder, shims } = fixture(t);
  const env = {
    PATH,
    ...Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`LONG_${n}`, "it's ".repeat(10_000)])),
  };
  const order = orderIn(folder, `printf %s "$LONG_7" | wc -c`, { env });
  t.equal(await endOf(await shims.take(), order), 0);
  t.equal(readFileSync(order.stdout, 'utf8').trim(), '50000');
});

t.test('a hundred are started at once, and nobody’s order goes astray', async (t) => {
  const { folder, shims } = fixture(t, 4);
  const all = Array.from({ length: 100 }, async (_, n) => {
    const shim = await shims.take();
    const order = orderIn(folder, `echo $$; exit ${n}`);
    t.equal(await endOf(shim, order), n);
    t.equal(readFileSync(order.stdout, 'utf8'), `${shim.leader.pid}\n`);
  });
  await Promise.all(all);
});

t.test('when the launcher is killed there is another, and what it had started goes on', async (t) => {
  const { folder, shims } = fixture(t);
  const waiting = await shims.take();
  const order = orderIn(folder, 'sleep 0.5; exit 3');
  const ended = endOf(await shims.take(), order);
  const [launcher] = launcherOf(folder);
  process.kill(launcher ?? 0, 'SIGKILL');
  await eventually(() => launcherOf(folder).length === 0, 'it is gone');
  t.equal(await endOf(await shims.take(), orderIn(folder, 'exit 4')), 4);
  t.equal(await ended, 3, 'its end is still told');
  t.equal(await endOf(waiting, orderIn(folder, 'exit 5')), 5, 'who waits still takes an order');
  t.equal(launcherOf(folder).length, 1);
});

t.test('of launchers that were killed no file stays open', async (t) => {
  const { folder, shims } = fixture(t);
  const pipes = (): string[] => linksOfOwnFiles().filter((target) => target.startsWith(join(folder, 'shims')));
  for (let n = 0; n < 3; n++) {
    t.equal(await endOf(await shims.take(), orderIn(folder, 'exit 4')), 4);
    const ended = endOf(await shims.take(), orderIn(folder, 'sleep 0.3; exit 5'));
    const [launcher] = launcherOf(folder);
    process.kill(launcher ?? 0, 'SIGKILL');
    await eventually(() => launcherOf(folder).length === 0, 'it is gone');
    t.equal(await ended, 5);
  }
  await eventually(() => pipes().length === 0, 'its pipes are closed');
});

t.test('one that was killed while it waited is passed over, and leaves nobody and nothing behind', async (t) => {
  const { folder, shims } = fixture(t, 1);
  await eventually(() => running(folder, 'shim.sh').length >= 2, 'there is a spare');
  for (let round = 0; round < 20; round++) {
    const shim = await shims.take();
    process.kill(round % 2 === 0 ? shim.pid : shim.leader.pid, 'SIGKILL');
    await eventually(() => !isAlive(round % 2 === 0 ? shim : shim.leader), 'it is killed');
    shim.discard();
    await eventually(() => !isAlive(shim) && !isAlive(shim.leader), 'the other one goes with it');
  }
  t.equal(await endOf(await shims.take(), orderIn(folder, 'exit 9')), 9);
});

t.test('who has taken in the task’s side of a shim that was just killed is no shim', async (t) => {
  /** The first to say who it is has lost its shim by then, and says that init is its parent; or that we are. */
  class Orphans extends ProcTable {
    readonly #parents = [1, process.pid];

    override parse(stat: string): ReturnType<ProcTable['parse']> {
      const info = super.parse(stat);
      const ppid = this.#parents.shift();
      return info && ppid !== undefined ? { ...info, ppid } : info;
    }
  }
  const { folder, shims } = fixture(t, 0, { PATH }, new Orphans());
  for (const _ of ['init', 'the daemon']) await t.rejects(shims.take(), { code: 'unavailable' });
  const order = orderIn(folder, 'exit 7');
  t.equal(await endOf(await shims.take(), order), 7);
});

t.test('an order to one whose task’s side has just died is no status of a task', async (t) => {
  const { folder, shims } = fixture(t);
  const shim = await shims.take();
  process.kill(shim.leader.pid, 'SIGKILL');
  await eventually(() => !isAlive(shim), 'it ends');
  await eventually(() => !shim.waits, 'that is known');
  const order = orderIn(folder, 'exit 0');
  const status = await endOf(shim, order);
  t.ok(status === null || status === 137, `${status}`);
  t.equal(readExitFile(join(order.runFolder, 'exit')), undefined);
});

t.test('a shim that is killed is noticed, whoever started it', async (t) => {
  const { shims } = fixture(t);
  const { shims: later } = fixture(t);
  const shim = await shims.take();
  let gone = 0;
  later.watch(shim, () => {
    gone += 1;
  });
  later.watch(await shims.take(), () => t.fail('this one lives')).cancel();
  process.kill(shim.pid, 'SIGKILL');
  await eventually(() => gone === 1, 'it is noticed');
  shim.discard();
});

t.test('a task goes on when the daemon lets go of it, and its status is known', async (t) => {
  const { folder, shims } = fixture(t);
  const go = join(folder, 'go');
  const order = orderIn(folder, `while [ ! -e '${go}' ]; do sleep 0.05; done; exit 6`);
  const shim = await shims.take();
  shim.begin(order, () => t.fail('nobody listens any more'));
  await eventually(() => existsSync(order.stdout), 'it runs');
  await shims.stop();
  t.ok(isAlive(shim.leader));
  writeFileSync(go, '');
  await eventually(() => readExitFile(join(order.runFolder, 'exit')) === 6, 'its status is written');
});

t.test('when the daemon is killed, all who have no order end by themselves', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-shims-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));
  const own = (path: string): string => JSON.stringify(new URL(`../../core/${path}`, import.meta.url).pathname);
  const script = join(folder, 'daemon.mts');
  writeFileSync(
    script,
    `import { SystemClock } from ${own('engine/system-clock.ts')};
     import { ProcTable } from ${own('machine/proc-table.ts')};
     import { Shims } from ${own('machine/shim/shims.ts')};
     const shims = new Shims({ folder: ${JSON.stringify(join(folder, 'data'))}, env: { PATH: process.env.PATH }, clock: new SystemClock(), processes: new ProcTable() });
     shims.start();
     setInterval(() => shims.take().then((shim) => shim.discard()), 20);`,
  );
  mkdirSync(join(folder, 'data'));
  const env = { ...process.env };
  delete env.NODE_OPTIONS;
  const tsx = new URL('../../node_modules/tsx/dist/esm/index.mjs', import.meta.url).pathname;
  const daemon = spawn(process.execPath, ['--import', tsx, script], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  const exited = new Promise((resolve) => daemon.once('exit', resolve));
  await eventually(() => running(join(folder, 'data'), 'shim.sh').length >= 3, 'shims are started all the time');
  daemon.kill('SIGKILL');
  await exited;
  await eventually(() => running(join(folder, 'data')).length === 0, 'none is left');
});

t.test('where setsid is missing, it is said what to install', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-programs-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));
  for (const program of ['rm', 'mkfifo']) {
    const real = PATH.split(':')
      .map((one) => join(one, program))
      .find((path) => existsSync(path));
    writeFileSync(join(folder, program), `#!/bin/sh\nPATH='${PATH}' exec '${real}' "$@"\n`, { mode: 0o755 });
  }
  const { shims } = fixture(t, 0, { PATH: folder });
  await t.rejects(shims.take(), { code: 'unavailable', message: /setsid, of util-linux/ });
});

t.test('where its launcher cannot begin, that is said, and it is tried again', async (t) => {
  const { folder, shims } = fixture(t, 0, { PATH, CEREBRO_SHIM_GROUP: '/sys/fs/cgroup/nowhere' });
  await t.rejects(shims.take(), { code: 'unavailable', message: /could not be started: it ended \(125\)/ });
  await t.rejects(shims.take(), { code: 'unavailable' });
  t.strictSame(readdirSync(join(folder, 'shims')), []);
});

t.test('one piece of work in each turn of the loop; the first does not wait', async (t) => {
  const turns = new Turns();
  let turn = 0;
  let over = false;
  const count = (): void => {
    turn += 1;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  const seen = await Promise.all(Array.from({ length: 4 }, () => turns.next().then(() => turn)));
  over = true;
  t.equal(new Set(seen).size, 4, `each in another: ${seen.join(', ')}`);
  t.equal(seen[0], 0);
  t.same(
    seen,
    [...seen].sort((a, b) => a - b),
    'in order',
  );
});
