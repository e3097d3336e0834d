import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { packageRoot, packageVersion } from '../../core/engine/package-root.ts';
import type { SitterFile } from '../../core/model/sitter-file.ts';
import type { TaskStatus } from '../../core/model/task.ts';
import { makeRelease } from '../fakes/release-folder.ts';
import { definition } from '../machine/machine-under-test.ts';
import { type CliResult, EmbeddedCluster, eventually, isAlive, run } from './embedded-cluster.ts';
import { MachineDaemon } from './machine-daemon.ts';

const folder = mkdtempSync(join(tmpdir(), 'cerebro-upgrade-'));
const dataDir = join(folder, 'data');
const env = { PATH: process.env.PATH ?? '', HOME: folder };
const release = (name: string): string => join(folder, name);

const node = (...args: string[]): Promise<CliResult> =>
  run('/usr/bin/env', ['-u', 'NODE_OPTIONS', process.execPath, ...args], env, folder);
const upgrade = (from: string, ...args: string[]): Promise<CliResult> =>
  node(join(from, 'bin', 'cerebro'), '--data-dir', dataDir, 'upgrade', ...args);
const sitter = (): SitterFile => JSON.parse(readFileSync(join(dataDir, 'sitter.json'), 'utf8'));
const commandLine = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');

async function call<T>(method: string, path: string, body: unknown = {}): Promise<T> {
  const token = readFileSync(join(dataDir, 'admin.token'), 'utf8').trim();
  const answer = await fetch(`${sitter().url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(method !== 'GET' && { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}
const tasks = (): Promise<TaskStatus[]> => call('GET', '/api/v1/tasks');

t.setTimeout(600_000);
t.before(() => {
  makeRelease(release('next'), '9.1.0');
  makeRelease(release('ends'), '9.2.0', 'ends');
  makeRelease(release('hangs'), '9.3.0', 'hangs');
  makeRelease(release('newer-files'), '9.4.0', 'newer-files');
});
t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));

t.test('a daemon in the background, with tasks that SIGTERM would end', async (t) => {
  // Its environment is its own: the next one is to have the same.
  const started = await run(
    '/usr/bin/env',
    [
      ...['-u', 'NODE_OPTIONS', 'LC_ALL=C.UTF-8', 'MINE=kept', process.execPath],
      ...[
        join(packageRoot, 'bin', 'machinesitter'),
        '--daemon',
        '--data-dir',
        'data',
        '--port-fallback',
        '--port',
        '0',
      ],
      ...['--stop-tasks', '--capacity-mem', '100000'],
    ],
    env,
    folder,
  );
  t.equal(started.code, 0, started.stderr);
  t.teardown(async () => {
    const { pid } = sitter();
    await call('POST', '/api/v1/suspend');
    await eventually(() => !isAlive(pid), 'the daemon has ended');
  });
  for (const id of ['web', 'db'])
    await call('PUT', `/api/v1/tasks/${id}`, {
      definition: definition(id, { command: 'exec sleep 1000', mem: 64 }),
      start: true,
    });
  await eventually(async () => (await tasks()).every(({ phase, pid }) => phase === 'running' && pid), 'both run');
  const runs = async (): Promise<unknown> =>
    (await tasks())
      .map(({ id, pid, run, limits }) => ({ id, pid, run, mem: limits.memBytes }))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  const before = await runs();
  const first = sitter();
  t.equal(first.version, packageVersion);
  const untouched = async (t: Test, pid: number): Promise<void> => {
    t.equal(sitter().pid, pid, 'the daemon is the same');
    t.same(await runs(), before);
  };

  await t.test('the next version takes its place: same flags, same environment, same tasks', async (t) => {
    const result = await upgrade(release('next'));
    t.equal(result.code, 0, result.stderr);
    const { pid, version } = sitter();
    t.equal(
      result.stdout.split('\n')[0],
      `the machine sitter in ${dataDir} (pid ${first.pid}, in the background): version ${packageVersion} -> 9.1.0`,
    );
    t.match(result.stdout, `version 9.1.0 runs as pid ${pid} on ${sitter().url}, after `);
    t.match(result.stdout, '2 tasks ran on, none was restarted');
    t.equal(version, '9.1.0');
    t.notOk(isAlive(first.pid));
    t.same(await runs(), before);
    t.match(commandLine(pid), `${release('next')}/dist/core/main.js --mode machine --data-dir`);
    t.match(commandLine(pid), '--stop-tasks');
    t.match(readFileSync(`/proc/${pid}/environ`, 'utf8'), '\0MINE=kept\0');
    t.match(await call('GET', '/api/v1/machine'), { version: '9.1.0', capacity: { mem: { offered: 100_000 } } });
  });

  await t.test('and back again, from outside of both', async (t) => {
    const result = await upgrade(packageRoot, '--to', packageRoot, '--json');
    t.equal(result.code, 0, result.stderr);
    t.match(JSON.parse(result.stdout), {
      mode: 'machine',
      before: { version: '9.1.0' },
      now: { version: packageVersion, pid: sitter().pid },
      failure: null,
      tasks: { others: [] },
    });
    t.same(JSON.parse(result.stdout).tasks.kept.sort(), ['db', 'web']);
    t.same(await runs(), before);
  });

  await t.test('one that ends at once, or never answers, is taken out again', async (t) => {
    for (const [name, deadline, said] of [
      ['ends', '300', 'version 9.2.0 did not come up: it ended with 7: the stars are not right (all of it: '],
      ['newer-files', '300', /version 9\.4\.0 did not come up: it ended with 1: Error: the stars are not right/],
      ['hangs', '1', 'version 9.3.0 did not come up: it did not answer within 1 s'],
    ] as const) {
      const result = await upgrade(packageRoot, '--to', release(name), '--deadline', deadline);
      t.equal(result.code, 1, result.stdout);
      t.match(result.stderr, said);
      const { pid, version } = sitter();
      t.match(result.stdout, `version ${packageVersion} runs again as pid ${pid} on `);
      t.match(result.stdout, '2 tasks ran on, none was restarted');
      t.equal(version, packageVersion);
      t.same(await runs(), before);
    }
  });

  await t.test('one that would not start is found out before anything is ended', async (t) => {
    const { pid } = sitter();
    const plugins = join(release('next'), 'plugins.json');
    const whole = readFileSync(plugins, 'utf8');
    writeFileSync(plugins, '{"plugins": [{"use": "./plugins/nothing"}]}');
    const result = await upgrade(packageRoot, '--to', release('next'));
    writeFileSync(plugins, whole);
    t.equal(result.code, 1, result.stdout);
    t.match(result.stderr, /version 9\.1\.0 would not start with the flags of this daemon, and nothing was changed/);
    t.match(result.stderr, 'plugins/nothing');
    await untouched(t, pid);
    t.match(await upgrade(packageRoot, '--to', folder), { code: 1, stderr: /there is no Cerebro in / });
    t.match(await upgrade(packageRoot, '--deadline', 'soon'), { code: 2, stderr: /--deadline: expected seconds/ });
    await untouched(t, pid);
  });

  await t.test('one that does not know the files of a newer program does not touch them', async (t) => {
    const { pid } = sitter();
    writeFileSync(join(dataDir, 'format'), '2\n');
    const result = await upgrade(release('next'));
    writeFileSync(join(dataDir, 'format'), '1\n');
    t.equal(result.code, 1);
    t.match(result.stderr, /are of form 2, and this program knows form 1: start the newer Cerebro/);
    await untouched(t, pid);
  });

  await t.test('a machine of a cluster is its cluster sitter’s to bring up to date', async (t) => {
    const identity = join(dataDir, 'identity.json');
    writeFileSync(identity, '{}');
    const result = await upgrade(release('next'));
    rmSync(identity);
    t.match(result, { code: 1, stderr: /is one of a cluster.*upgrade the cluster sitter/ });
  });
});

t.test(
  'a daemon in the foreground is left to who started it there, unless it may go into the background',
  async (t) => {
    const daemon = new MachineDaemon();
    await daemon.start();
    t.teardown(() => daemon.remove());
    await daemon.add('web', { command: 'exec sleep 1000' });
    await eventually(async () => (await daemon.tasks()).get('web')?.pid, 'it runs');
    const before = (await daemon.tasks()).get('web');
    const call = (...args: string[]): Promise<CliResult> =>
      node(join(release('next'), 'bin', 'cerebro'), '--data-dir', daemon.folder, 'upgrade', ...args);
    t.match(await call(), { code: 1, stderr: /runs in the foreground.*or give --background/ });
    t.ok(isAlive(daemon.pid));
    const result = await call('--background');
    t.equal(result.code, 0, result.stderr);
    t.notOk(isAlive(daemon.pid));
    t.match((await daemon.tasks()).get('web'), { pid: before?.pid, run: 1 });
    const { pid } = JSON.parse(readFileSync(join(daemon.folder, 'sitter.json'), 'utf8')) as SitterFile;
    await daemon.call('POST', '/api/v1/hand-over', {});
    await eventually(() => !isAlive(pid), 'it has ended');
    t.ok(isAlive(before?.pid ?? 0), 'and its task has not');
    t.match(await call(), { code: 3, stderr: /no daemon runs in .*start the new version/ });
  },
);

t.test('a cluster sitter: its machines and copies do not notice', async (t) => {
  const cluster = new EmbeddedCluster();
  t.teardown(() => cluster.remove());
  await cluster.up();
  await cluster.apply(`
task_configuration: {name: web, command: exec sleep 1000, cpu: 1, mem: 100}
deployment_layout: {local-a: {count: 2}}
`);
  const pids = async (): Promise<unknown> => (await cluster.ready('web', 2)).map(({ task }) => task?.pid);
  const before = await pids();
  const old = cluster.pid;
  const args = ['--data-dir', cluster.dataDir, 'upgrade', '--background'];
  const result = await cluster.cli(args, join(release('next'), 'bin', 'cerebro'));
  t.equal(result.code, 0, result.stderr);
  t.match(result.stdout, /2 tasks ran on, none was restarted/);
  t.notOk(isAlive(old));
  t.match(await cluster.get('/api/v1/status'), { version: '9.1.0' });
  t.same(await pids(), before);
});
