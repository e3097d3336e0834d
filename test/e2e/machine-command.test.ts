import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import type { SitterFile } from '../../core/model/sitter-file.ts';
import { freePort } from '../fakes/free-port.ts';
import { definition } from '../machine/machine-under-test.ts';
import { type CliResult, eventually, isAlive, run } from './embedded-cluster.ts';

const folder = mkdtempSync(join(tmpdir(), 'cerebro-machine-command-'));
const dataDir = join(folder, 'data');
const { PATH = '' } = process.env;
const env = { PATH, HOME: folder, XDG_CONFIG_HOME: join(folder, 'config') };
let port = 0;

/** tap puts loaders of its own into every Node that a test starts. */
const bin = (name: string, args: readonly string[], more: Record<string, string> = {}): Promise<CliResult> =>
  run(
    '/usr/bin/env',
    ['-u', 'NODE_OPTIONS', process.execPath, join(packageRoot, 'bin', name), ...args],
    { ...env, ...more },
    folder,
  );
const cli = (...args: string[]): Promise<CliResult> => bin('cerebro', ['--data-dir', 'data', ...args]);
const sitter = (): SitterFile => JSON.parse(readFileSync(join(dataDir, 'sitter.json'), 'utf8'));
const token = (): string => readFileSync(join(dataDir, 'admin.token'), 'utf8').trim();
const call = (method: string, path: string, body: string | null = null): Promise<Response> =>
  fetch(`${sitter().url}${path}`, {
    method,
    body,
    headers: { authorization: `Bearer ${token()}`, 'content-type': 'application/json' },
  });

t.teardown(async () => {
  if (existsSync(join(dataDir, 'sitter.json'))) {
    const { pid } = sitter();
    for (const name of ['web', 'db']) await call('DELETE', `/api/v1/tasks/${name}`);
    process.kill(pid, 'SIGTERM');
    await eventually(() => !isAlive(pid), 'the daemon has ended');
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 30 });
});

t.test('machinesitter --daemon returns when the sitter answers, and says where', async (t) => {
  port = await freePort();
  const flags = ['--port', String(port), '--capacity-mem', '5000'];
  const started = await bin('machinesitter', ['--daemon', '--data-dir', 'data', ...flags]);
  t.equal(started.code, 0, started.stderr);
  t.match(await (await call('GET', '/api/v1/machine')).json(), { capacity: { mem: { offered: 5000 } } });
  const { pid, url, mode } = sitter();
  t.equal(
    started.stdout,
    `cerebro: the machine sitter runs as pid ${pid} on ${url}; its log is ${dataDir}/cerebro.log\n`,
  );
  t.equal(mode, 'machine');
  t.ok(isAlive(pid));
  t.notMatch(readFileSync(join(dataDir, 'cerebro.log'), 'utf8'), token());
});

t.test('a second one is told of the first, and a port that is taken is said', async (t) => {
  const second = await bin('machinesitter', ['--daemon', '--data-dir', 'data']);
  t.equal(second.code, 1);
  t.match(second.stderr, /is in use by a daemon already \(pid \d+, at http/);
  const elsewhere = await bin('machinesitter', ['--daemon', '--data-dir', 'other', '--port', String(port)]);
  t.equal(elsewhere.code, 3);
  t.match(elsewhere.stderr, /the daemon ended at once: .*port \d+ on 127\.0\.0\.1 is taken/);
});

t.test('tasks of the machine in this folder: shown, restarted, stopped, started; their runs and logs', async (t) => {
  t.equal(
    (await cli('tasks')).stdout,
    'no tasks on this machine yet; a file of tasks brings them: docs/machine-sitter.md\n',
  );
  for (const [name, command] of Object.entries({ web: 'echo hello; exec sleep 1000', db: 'exec sleep 1000' })) {
    const body = JSON.stringify({ definition: definition(name, { command, mem: 1200 }), start: true });
    t.equal((await call('PUT', `/api/v1/tasks/${name}`, body)).status, 200);
  }
  const rows = async (): Promise<string[]> => (await cli('tasks')).stdout.trim().split('\n');
  await eventually(async () => (await rows()).filter((row) => /MB, (polled|hard)/.test(row)).length === 2, 'both run');
  const [head, db, web] = await rows();
  t.match(head, /^TASK +STATE +PID/);
  t.match(db, /^db +running +\d+ .* of 1200 MB/);
  t.match(web, /^web/);
  t.equal((await cli('tasks', 'runs', 'web')).stdout, 'no run of web has ended yet\n');
  t.match(await cli('tasks', 'signal', 'web', 'sigcont', '--all'), { code: 0, stdout: 'web was sent SIGCONT\n' });
  t.match(await cli('tasks', 'signal', 'web', 'SIGWHAT'), { code: 1, stderr: /signal/ });
  t.equal((await cli('tasks', 'restart', 'web')).code, 0);
  await eventually(
    async () => /^ *1 .* (user|deploy) /m.test((await cli('tasks', 'runs', 'web')).stdout),
    'run 1 ended',
  );
  t.match((await cli('tasks', 'stop', 'web')).stdout, /^web is /);
  await eventually(async () => (await rows()).some((row) => /^web +stopped/.test(row)), 'it is stopped');
  t.match(JSON.parse((await cli('tasks', 'start', 'web', '--json')).stdout), { id: 'web' });
  const byUrl = ['logs', 'web', '--run', '1', '--machinesitterurl', sitter().url];
  t.equal((await bin('cerebro', byUrl, { CEREBRO_TOKEN: token() })).stdout, 'hello\n');
});

t.test('what is wrong is said, with exit codes that tell usage from refusal from silence', async (t) => {
  t.match(await cli('tasks', 'stop', 'nobody'), { code: 1, stderr: /there is no task "nobody"/ });
  t.match(await cli('tasks', 'dance'), { code: 2, stderr: /"tasks dance"/ });
  t.match(await bin('cerebro', ['--data-dir', 'nothing', 'tasks']), { code: 3, stderr: /no machine sitter runs in/ });
  const url = `http://127.0.0.1:${await freePort()}`;
  const away = await bin('cerebro', ['tasks', '--machinesitterurl', url], { CEREBRO_TOKEN: 'x' });
  t.match(away, { code: 3, stderr: /no answer from the machine sitter at/ });
  t.match(await bin('cerebro', ['tasks', '--machinesitterurl', url]), { code: 1, stderr: /no token for/ });
});
