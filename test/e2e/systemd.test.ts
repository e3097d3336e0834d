import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import type { TaskStatus } from '../../core/model/task.ts';
import { makeRelease } from '../fakes/release-folder.ts';
import { definition } from '../machine/machine-under-test.ts';
import { eventually, isAlive } from './embedded-cluster.ts';

/** `test/vm/with-systemd` says so: this host's own systemd is nobody's to play with. */
const INSIDE = process.env.CEREBRO_SYSTEMD === '1';
/** In the guest of `test/vm/run`, whose kernel holds limits by groups of version 2. */
const HARD = process.env.CEREBRO_VM === '1';
const BIN = join(packageRoot, 'bin', 'cerebro');
const DATA = '/var/lib/cerebro';
const URL = 'http://127.0.0.1:40000';

const plainEnv = (): NodeJS.ProcessEnv => ({ PATH: process.env.PATH, HOME: process.env.HOME });
const sh = (program: string, ...args: string[]): string =>
  execFileSync(program, args, {
    encoding: 'utf8',
    timeout: 120_000,
    env: plainEnv(),
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();
const show = (unit: string, property: string): string => sh('systemctl', 'show', '-P', property, unit);
const mainPid = (): number => Number(show('cerebro-machine.service', 'MainPID'));
const ready = (): Promise<void> => eventually(async () => (await fetch(`${URL}/healthz`)).ok, 'it answers');
const groupOf = (pid: number): string =>
  readFileSync(`/proc/${pid}/cgroup`, 'utf8')
    .split('\n')
    .find((line) => line.startsWith('0::'))
    ?.slice(3) ?? '';

/** The memory limit that the kernel holds a process to, in bytes; null: none. */
function heldMemory(pid: number): number | null {
  for (let group = groupOf(pid); group !== '/'; group = dirname(group)) {
    const limit = readFileSync(join('/sys/fs/cgroup', group, 'memory.max'), 'utf8').trim();
    if (limit !== 'max') return Number(limit);
  }
  return null;
}

async function call<T>(method: string, path: string, body?: unknown, dataDir = DATA): Promise<T> {
  const token = readFileSync(join(dataDir, 'admin.token'), 'utf8').trim();
  const answer = await fetch(`${URL}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}
const task = (id: string): Promise<TaskStatus> => call('GET', `/api/v1/tasks/${id}`);
const answers = (): Promise<void> =>
  eventually(async () => (await call<TaskStatus[]>('GET', '/api/v1/tasks')).length === 2, 'it has its tasks');

// tap has 30 s for a file that it does not start itself; a loaded host starts a daemon in ten.
t.setTimeout(600_000);

t.test(
  'under systemd, tasks outlive restarts, kill -9 and reloads of their sitter, and end with their own unit',
  async (t) => {
    if (!INSIDE) {
      t.comment('left to npm run test:vm, which runs it with a systemd of its own');
      return;
    }
    sh(process.execPath, BIN, 'install-service');
    sh('systemctl', 'daemon-reload');
    sh('systemctl', 'start', 'cerebro-machine.service');
    await ready();
    await call('PUT', '/api/v1/tasks/web', {
      definition: definition('web', { command: 'sleep 1000 & sleep 1000', mem: 64 }),
      start: true,
    });
    await call('PUT', '/api/v1/tasks/short', {
      definition: definition('short', {
        command: 'until [ -e /tmp/end ]; do sleep .1; done; exit 7',
        allow_exit: true,
      }),
      start: true,
    });
    await eventually(async () => (await task('web')).pid !== null && (await task('short')).pid !== null, 'both run');
    const pid = (await task('web')).pid ?? 0;
    t.match(groupOf(pid), /^\/system\.slice\/cerebro-tasks\.service\//, 'it lives in the group of the tasks’ unit');
    t.equal(groupOf(mainPid()), '/system.slice/cerebro-machine.service');

    const kept = async (what: string): Promise<void> => {
      await answers();
      const { pid: now, run, limits, phase } = await task('web');
      t.match({ now, run, phase }, { now: pid, run: 1, phase: 'running' }, what);
      t.equal(limits.memBytes, 64 * 1024 * 1024, `${what}: its limit holds`);
      if (HARD) t.equal(heldMemory(pid), 64 * 1024 * 1024, `${what}: by the kernel`);
    };

    let before = mainPid();
    sh('systemctl', 'restart', 'cerebro-machine.service');
    t.not(mainPid(), before);
    await kept('after a restart');

    before = mainPid();
    process.kill(before, 'SIGKILL');
    await eventually(() => ![0, before].includes(mainPid()), 'systemd has started it again');
    await kept('after kill -9');

    sh('systemctl', 'daemon-reload');
    sh('systemctl', 'daemon-reexec');
    await kept('after a reload of systemd');

    // An upgrade changes the unit and the program under it.
    mkdirSync('/etc/systemd/system/cerebro-machine.service.d', { recursive: true });
    writeFileSync('/etc/systemd/system/cerebro-machine.service.d/new.conf', '[Service]\nEnvironment=LANG=C\n');
    sh('systemctl', 'daemon-reload');
    sh('systemctl', 'restart', 'cerebro-machine.service');
    await kept('after an upgrade');

    await t.test(
      'cerebro upgrade puts another program into the units, and takes one that fails out again',
      async (t) => {
        const unit = (): string => readFileSync('/etc/systemd/system/cerebro-machine.service', 'utf8');
        const [next, broken] = [makeRelease('/opt/next', '9.1.0'), makeRelease('/opt/broken', '9.2.0', 'ends')];
        before = mainPid();
        const said = sh(process.execPath, join(next, 'bin', 'cerebro'), '--data-dir', DATA, 'upgrade');
        t.match(said, /pid \d+, the service cerebro-machine\.service\): version \S+ -> 9\.1\.0/);
        t.match(said, /2 tasks ran on, none was restarted/);
        t.not(mainPid(), before);
        t.match(unit(), `${next}/dist/core/main.js --mode machine --data-dir "%S/cerebro" --tasks-group`);
        await kept('after cerebro upgrade');
        t.match(await call('GET', '/api/v1/machine'), { version: '9.1.0' });

        const text = unit();
        const failed = spawnSync(process.execPath, [BIN, '--data-dir', DATA, 'upgrade', '--to', broken], {
          encoding: 'utf8',
          env: plainEnv(),
        });
        t.equal(failed.status, 1, failed.stdout);
        t.match(failed.stderr, /version 9\.2\.0 did not come up: it ended whenever it was started/);
        t.match(failed.stdout, /version 9\.1\.0 runs again as pid .*2 tasks ran on, none was restarted/s);
        t.equal(unit(), text, 'the units are those from before');
        await kept('after an upgrade that failed');
      },
    );

    sh('systemctl', 'stop', 'cerebro-machine.service');
    t.ok(isAlive(pid), 'a sitter that is stopped leaves its tasks running');
    writeFileSync('/tmp/end', '');
    await eventually(() => show('cerebro-tasks.service', 'ActiveState') === 'active', 'their unit is there');
    sh('systemctl', 'start', 'cerebro-machine.service');
    await kept('after a stop and a start');
    await eventually(async () => (await task('short')).lastEnd?.code === 7, 'what ended meanwhile has its exit code');

    if (HARD) {
      // After all that it went through, the limit is one that kills: the task alone, and by its name.
      const before = mainPid();
      const command = "node -e 'const all = []; setInterval(() => all.push(Buffer.alloc(4e6, 1)), 10)'";
      await call('PUT', '/api/v1/tasks/greedy', {
        definition: definition('greedy', { command, mem: 64, ensure_alive: false }),
        start: true,
      });
      await eventually(async () => (await task('greedy')).lastEnd !== null, 'the kernel ends it');
      t.match((await task('greedy')).lastEnd, { reason: 'mem', enforcer: 'cgroup2' });
      await call('DELETE', '/api/v1/tasks/greedy');
      t.equal(mainPid(), before);
      await kept('beside one that was ended for its memory');
    }

    await call('POST', '/api/v1/tasks/web/actions', { action: 'restart' });
    await eventually(
      async () => (await task('web')).run === 2 && (await task('web')).pid !== null,
      'it can be restarted',
    );
    const second = (await task('web')).pid ?? 0;
    t.match(groupOf(second), /^\/system\.slice\/cerebro-tasks\.service\//);

    sh('systemctl', 'stop', 'cerebro-tasks.service');
    t.equal(show('cerebro-machine.service', 'ActiveState'), 'inactive', 'the sitter goes with the tasks’ unit');
    t.notOk(isAlive(second), 'and so do the tasks');
  },
);

t.test('under the systemd of a user, tasks outlive restarts of their sitter, too', async (t) => {
  if (!INSIDE) return;
  try {
    sh('runuser', '-u', 'nobody', '--', 'test', '-r', BIN);
  } catch {
    t.comment(`left out: ${packageRoot} is not for other users to read`);
    return;
  }
  const { user, home, uid } = userWithSystemd();
  const as = (...argv: string[]): string =>
    sh('runuser', '-u', user, '--', 'env', `HOME=${home}`, `XDG_RUNTIME_DIR=/run/user/${uid}`, ...argv);
  as(process.execPath, BIN, 'install-service', '--user', '--data-dir', join(home, 'data'));
  as('systemctl', '--user', 'daemon-reload');
  as('systemctl', '--user', 'start', 'cerebro-machine.service');
  await ready();
  const status = (method: string, path: string, body?: unknown): Promise<TaskStatus> =>
    call(method, `/api/v1/tasks/mine${path}`, body, join(home, 'data'));
  await status('PUT', '', { definition: definition('mine', { command: 'exec sleep 1000' }), start: true });
  await eventually(async () => (await status('GET', '')).pid !== null, 'it runs');
  const { pid } = await status('GET', '');
  t.match(groupOf(pid ?? 0), `/user@${uid}.service/app.slice/cerebro-tasks.service/`);
  as('systemctl', '--user', 'restart', 'cerebro-machine.service');
  await ready();
  await eventually(async () => (await status('GET', '')).phase === 'running', 'it is taken up again');
  t.match(await status('GET', ''), { pid, run: 1 });
  as('systemctl', '--user', 'stop', 'cerebro-tasks.service');
  t.notOk(isAlive(pid ?? 0));
});

/** A user with a systemd of his own, started without the login service, which is not here. */
function userWithSystemd(): { user: string; home: string; uid: string } {
  const user = 'cerebro-tester';
  sh('useradd', '--create-home', user);
  const uid = sh('id', '-u', user);
  const home = `/home/${user}`;
  mkdirSync(`/run/user/${uid}`, { recursive: true });
  sh('chown', `${user}:`, `/run/user/${uid}`);
  const units = '/run/systemd/system';
  mkdirSync(`${units}/user@.service.d`, { recursive: true });
  writeFileSync(`${units}/user-runtime-dir@.service`, '[Service]\nType=oneshot\nExecStart=/bin/true\n');
  writeFileSync(
    `${units}/user@.service.d/here.conf`,
    `[Service]\nPAMName=\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i HOME=${home}\n`,
  );
  sh('systemctl', 'daemon-reload');
  sh('systemctl', 'start', `user@${uid}.service`);
  return { user, home, uid };
}

t.test('a group of tasks that is not there is said, and nothing starts', async (t) => {
  if (!INSIDE) return;
  const start = (group: string): string => {
    try {
      sh(process.execPath, BIN, '--mode', 'machine', '--data-dir', '/tmp/other', '--tasks-group', group);
      return 'it started';
    } catch (error) {
      return String((error as { stderr?: unknown }).stderr);
    }
  };
  t.match(
    start('/sys/fs/cgroup/nowhere'),
    /tasks_group: \/sys\/fs\/cgroup\/nowhere cannot be used .*ENOENT.*cerebro-tasks\.service/,
  );
  t.match(start('/tmp'), /tasks_group: \/tmp is no group of cgroup v2/);
});
