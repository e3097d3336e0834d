import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
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
    [['listjobs', '--clustersitterurl', 'nonsense', '--token', 'x'], /is not the URL of a cluster sitter/],
  ];
  for (const [args, sentence] of wrong) {
    const { code, stderr } = await bin('cerebro', ...args);
    t.equal(code, 2, args.join(' '));
    t.match(stderr, sentence, args.join(' '));
  }
});

t.test('no answer is 3, no token is 1', async (t) => {
  const silent = await bin('cerebro', 'listjobs', '--clustersitterurl', 'http://127.0.0.1:1', '--token', 'x');
  t.equal(silent.code, 3);
  t.match(silent.stderr, /no answer from the cluster sitter/);
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
