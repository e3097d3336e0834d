import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import { skipUnless } from '../fakes/needs.ts';
import { type CliResult, run } from './embedded-cluster.ts';

const folder = mkdtempSync(join(tmpdir(), 'cerebro-units-'));
const { PATH = '' } = process.env;
const env = { PATH, HOME: folder, XDG_RUNTIME_DIR: folder };

t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));

const install = (...args: string[]): Promise<CliResult> =>
  run(
    '/usr/bin/env',
    ['-u', 'NODE_OPTIONS', process.execPath, join(packageRoot, 'bin', 'cerebro'), 'install-service', ...args],
    env,
    folder,
  );
const into = (name: string): string => join(folder, name);
const unit = (place: string, name: string): string => readFileSync(join(into(place), name), 'utf8');

t.test('a machine sitter gets two units, so that its tasks outlive its restarts', async (t) => {
  const result = await install('--into', into('machine'), '--port', '41000');
  t.equal(result.code, 0, result.stderr);
  t.strictSame(readdirSync(into('machine')).sort(), ['cerebro-machine.service', 'cerebro-tasks.service']);
  const tasks = unit('machine', 'cerebro-tasks.service');
  t.match(tasks, /^Delegate=yes$/m);
  t.match(tasks, /^TasksMax=infinity$/m);
  const machine = unit('machine', 'cerebro-machine.service');
  t.match(machine, /^Requires=cerebro-tasks\.service$/m);
  t.match(machine, '--tasks-group "/sys/fs/cgroup/system.slice/cerebro-tasks.service"');
  t.match(machine, '--port 41000');
  t.notMatch(machine, 'KillMode');
  t.match(result.stdout, 'systemctl daemon-reload && systemctl enable --now cerebro-machine.service');
});

t.test('written again nothing changes; what somebody else wrote is left alone', async (t) => {
  const before = statSync(join(into('machine'), 'cerebro-tasks.service')).mtimeMs;
  t.match(await install('--into', into('machine'), '--port', '41000'), { code: 0, stdout: /unchanged.*unchanged/s });
  t.equal(statSync(join(into('machine'), 'cerebro-tasks.service')).mtimeMs, before);
  mkdirSync(into('theirs'));
  writeFileSync(join(into('theirs'), 'cerebro-machine.service'), '[Service]\nExecStart=/bin/true\n');
  t.match(await install('--into', into('theirs')), { code: 1, stderr: /was not written by this command/ });
  t.strictSame(readdirSync(into('theirs')), ['cerebro-machine.service'], 'not half of it either');
  t.equal((await install('--into', into('theirs'), '--force')).code, 0);
});

t.test('what a machine sitter offers and loads is passed on', async (t) => {
  const room = ['--capacity-cpu', '3.5', '--capacity-mem', '2000'];
  const result = await install('--into', into('room'), '--tasks', 'my tasks.yaml', '--stop-tasks', ...room);
  t.equal(result.code, 0, result.stderr);
  const machine = unit('room', 'cerebro-machine.service');
  t.match(machine, `--tasks "${join(folder, 'my tasks.yaml')}"`, 'from the root, since the unit runs elsewhere');
  t.match(machine, '--stop-tasks');
  t.match(machine, '--capacity-cpu 3.5 --capacity-mem 2000');
});

t.test('a data folder of the settings is the one of the service', async (t) => {
  writeFileSync(join(folder, 'with-folder.yaml'), 'data_dir: data/of ours\n');
  const named = ['--mode', 'cluster', '--settings', 'with-folder.yaml'];
  t.equal((await install(...named, '--into', into('named'))).code, 0);
  const cluster = unit('named', 'cerebro-cluster.service');
  t.match(cluster, `--data-dir "${join(folder, 'data/of ours')}"`);
  t.match(cluster, `ReadWritePaths="${join(folder, 'data/of ours')}"`);
  t.notMatch(cluster, 'StateDirectory');
  t.equal((await install(...named, '--data-dir', '/srv/other', '--into', into('flag'))).code, 0);
  t.match(unit('flag', 'cerebro-cluster.service'), '--data-dir /srv/other', 'a flag says more than the file');
});

t.test('what is wrong is said before anything is written', async (t) => {
  writeFileSync(join(folder, 'relative.yaml'), 'tasks_file: tasks.yaml\n');
  t.match(await install('--settings', 'relative.yaml', '--data-dir', '/srv/x', '--into', into('no')), {
    code: 1,
    stderr: `tasks_file: "tasks.yaml" is meant from the current folder, and a service runs in another: write ${join(folder, 'tasks.yaml')}`,
  });
  t.match(await install('--mode', 'task', '--into', into('no')), { code: 2, stderr: /neither machine nor cluster/ });
  writeFileSync(join(folder, 'bad.yaml'), 'prot: 1\n');
  t.match(await install('--settings', 'bad.yaml', '--into', into('no')), { code: 1, stderr: /did you mean "port"/ });
  writeFileSync(join(folder, 'file'), '');
  t.match(await install('--into', join(folder, 'file', 'x')), { code: 3, stderr: /call it as root, or with --user/ });
});

t.test('systemd takes every unit as it is', async (t) => {
  const found = spawnSync('systemd-analyze', ['--version'], { env }).status === 0;
  if (skipUnless(t, found, 'systemd-analyze is not there: apt-get install systemd')) return;
  const odd = join(folder, 'my "$data" 100%');
  const kinds = {
    'a-machine': [],
    'a-cluster': ['--mode', 'cluster'],
    'an-odd-path': ['--mode', 'cluster', '--data-dir', odd],
    'a-user': ['--user', '--data-dir', odd],
  };
  for (const [kind, flags] of Object.entries(kinds)) {
    t.equal((await install(...flags, '--into', into(kind))).code, 0);
    const files = readdirSync(into(kind)).map((name) => join(into(kind), name));
    const scope = kind === 'a-user' ? ['--user'] : [];
    const verified = spawnSync('systemd-analyze', [...scope, 'verify', '--man=no', ...files], {
      encoding: 'utf8',
      env: { ...env, SYSTEMD_LOG_LEVEL: 'warning' },
      timeout: 120_000,
    });
    const ours = verified.stderr.split('\n').filter((line) => line.includes('cerebro'));
    t.strictSame(ours, [], kind);
    t.equal(verified.status, 0, `${kind}: ${verified.stderr}`);
  }
});
