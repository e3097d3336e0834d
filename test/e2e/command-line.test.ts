import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import { freePort } from '../fakes/free-port.ts';
import { type CliResult, run } from './embedded-cluster.ts';

const folder = mkdtempSync(join(tmpdir(), 'cerebro-cli-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));
const env = { PATH: process.env.PATH ?? '', HOME: folder, XDG_CONFIG_HOME: join(folder, 'config') };

/** A bin of the package, run as its users run it. */
function bin(name: string, ...args: string[]): Promise<CliResult> {
  return run(
    '/usr/bin/env',
    ['-u', 'NODE_OPTIONS', process.execPath, join(packageRoot, 'bin', name), ...args],
    env,
    folder,
  );
}

t.test('tasksitter ends with the code of its command, 128+n for a signal, and passes its output on', async (t) => {
  const three = await bin('tasksitter', '--command', 'echo out; echo err >&2; exit 3');
  t.equal(three.code, 3);
  t.equal(three.stdout, 'out\n');
  t.match(three.stderr, /^err$/m);
  t.equal((await bin('tasksitter', '--command', 'true')).code, 0);
  t.equal((await bin('tasksitter', '--command', 'kill -9 $$')).code, 137);
});

t.test('tasksitter starts again as often as it may', async (t) => {
  const { stdout, code } = await bin(
    'tasksitter',
    '--command',
    'echo again; exit 1',
    '--ensure-alive',
    '--max-restarts',
    '1',
  );
  t.equal(stdout, 'again\nagain\n');
  t.equal(code, 1);
});

t.test('tasksitter writes into folders where it is told to', async (t) => {
  const { stdout } = await bin('tasksitter', '--command', 'echo out', '--stdout-location', folder, '--name', 'mine');
  t.equal(stdout, '');
  t.equal(readFileSync(join(folder, 'mine.1.stdout'), 'utf8'), 'out\n');
});

t.test('wrong usage is 2, and says what is wrong', async (t) => {
  const wrong: [string[], RegExp][] = [
    [[], /Usage: cerebro/],
    [['lisjobs'], /unknown command "lisjobs"/],
    [['listjobs', '--jsn'], /unknown option '--jsn'.*did you mean/is],
    [['explain'], /missing required argument 'what'/],
    [['restart', 'web', 'api', '--token', 'x'], /too many arguments/],
    [['adopt', 'everything', '--token', 'x'], /too many arguments/],
    [['tasks', 'stop', 'web', 'api'], /too many arguments/],
    [['down', 'now'], /too many arguments/],
    [['--mode', 'both'], /--mode: "both" is neither machine nor cluster/],
    [['--mode', 'cluster', '--port', 'x'], /--port: "x" is not a port/],
    [['task', '--command', 'true', '--cpu', 'much'], /--cpu/],
    [['updatejobcfg', '/nowhere.yaml', '--token', 'x'], /nowhere\.yaml cannot be read/],
    [['updateidlelimit', 'many', '--token', 'x'], /"many" is no limit/],
    // What a script hands over of a variable that is not set must not count as 0.
    [['updateidlelimit', '', '--token', 'x'], /an argument of "updateidlelimit" is empty; nothing was done/],
    [['scale', 'web', '', '--token', 'x'], /an argument of "scale" is empty/],
    [['scale', 'web', ' ', '--token', 'x'], /" " is no number of copies/],
    [['removejob', '', '--token', 'x'], /an argument of "removejob" is empty/],
    [['drain', 'local-a-1', '--deadline', '', '--token', 'x'], /"" is no deadline/],
    [['--mode', 'cluster', '--port', ''], /--port: "" is not a port/],
    [['adopt', '--dry-run', '--end', 'web.1', '--token', 'x'], /--end .* goes with neither --dry-run nor --cluster/],
    [['--tasks-group', '/sys/fs/cgroup/x', 'install-service'], /--tasks-group: the units make a group/],
    [['listjobs', '--clustersitterurl', 'nonsense', '--token', 'x'], /is not the URL of a cluster sitter/],
  ];
  for (const [args, sentence] of wrong) {
    const { code, stderr } = await bin('cerebro', ...args);
    t.equal(code, 2, args.join(' '));
    t.match(stderr, sentence, args.join(' '));
  }
});

t.test('what answers is no cluster sitter: that is said, and it is not kept as the one that is meant', async (t) => {
  const answers = ['<html>sign in first</html>', '{"jobs": 3}', ''];
  const server = createServer((_, response) => response.end(answers.shift() ?? ''));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const _ of [...answers]) {
    const { code, stderr } = await bin('cerebro', 'listjobs', '--clustersitterurl', url, '--token', 'x');
    t.equal(code, 1, stderr);
    t.match(stderr, /answered with status 200, and not as a cluster sitter of this version does\n$/);
  }
  t.match((await bin('cerebro', 'listjobs')).stderr, /no token for http:\/\/127\.0\.0\.1:30000/);
});

t.test('of several job files, those that are in force are told when a later one is refused', async (t) => {
  for (const flags of [[], ['--json']]) {
    let calls = 0;
    const server = createServer((_, response) => {
      calls += 1;
      if (calls > 1) response.statusCode = 400;
      const changes = [{ job: 'first', change: 'created', version: 1, restarts: false }];
      const refusal = { error: { code: 'invalid', message: 'task_configuration: it has none' } };
      response.end(JSON.stringify(calls > 1 ? refusal : { dryRun: false, changes, plan: [], price: null }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    for (const name of ['a.yaml', 'b.yaml']) writeFileSync(join(folder, name), 'name: x\n');
    const files = ['a.yaml', 'b.yaml', '--clustersitterurl', url, '--token', 'x', ...flags];
    const { code, stdout, stderr } = await bin('job_update_cfg', ...files);
    t.equal(code, 1);
    t.match(stdout, flags.length > 0 ? /"job": "first"/ : /"first" created, version 1/);
    t.match(stderr, /it has none/);
  }
  rmSync(join(folder, 'config'), { recursive: true, force: true });
});

t.test('no answer is 3, no token is 1', async (t) => {
  const silent = await bin('cerebro', 'listjobs', '--clustersitterurl', 'http://127.0.0.1:1', '--token', 'x');
  t.equal(silent.code, 3);
  t.match(silent.stderr, /no answer from the cluster sitter/);
  const nothing = `http://127.0.0.1:${await freePort()}`;
  const gone = await bin('cerebro', 'listjobs', '--clustersitterurl', nothing, '--token', 'x');
  t.equal(gone.code, 3);
  t.match(gone.stderr, /start it \("cerebro up"\), or name another one with --clustersitterurl/);
  const elsewhere = await bin('cerebro', '--data-dir', join(folder, 'nowhere'), 'listjobs', '--token', 'x');
  t.equal(elsewhere.code, 3);
  t.match(elsewhere.stderr, `no cluster sitter runs in ${join(folder, 'nowhere')}`);
  t.notOk(existsSync(join(folder, 'nowhere')));
  const nobody = await bin('cerebro', 'listjobs');
  t.equal(nobody.code, 1);
  t.match(nobody.stderr, /admin\.token/);
});

t.test('help and version are 0', async (t) => {
  for (const args of [['help'], ['--help'], ['help', 'up'], ['--version'], ['local', '--help']])
    t.equal((await bin('cerebro', ...args)).code, 0, args.join(' '));
  const { stdout } = await bin('cerebro', 'help');
  for (const command of [
    'up',
    'down',
    'task',
    'updatejobcfg',
    'listjobs',
    'listmachines',
    'logs',
    'status',
    'events',
    'explain',
    'plugins',
    'local',
  ])
    t.match(stdout, command);
});

t.test('a settings file is strict', async (t) => {
  const file = join(folder, 'cerebro.yaml');
  writeFileSync(file, 'max_idle: 3\n');
  const { code, stderr } = await bin('cerebro', '--settings', file, '--mode', 'cluster');
  t.equal(code, 1);
  t.match(stderr, /max_idle: unknown setting; did you mean "max_idle_per_zone"/);
});

t.test('down in the wrong folder says so, and makes nothing there', async (t) => {
  const wrong = join(folder, 'nobody-was-here');
  const nobody = await bin('cerebro', '--data-dir', wrong, 'down');
  t.equal(nobody.code, 1);
  t.equal(nobody.stdout, '');
  t.match(nobody.stderr, `no cluster sitter has ever run in ${wrong}; name its folder with --data-dir`);
  t.notOk(existsSync(wrong));

  const machine = join(folder, 'a-machine');
  mkdirSync(join(machine, 'tasks'), { recursive: true });
  const other = await bin('cerebro', '--data-dir', machine, 'down');
  t.equal(other.code, 1);
  t.match(other.stderr, `${machine} is the folder of a machine sitter`);
  t.same(readdirSync(machine), ['tasks']);
});
