import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { packageRoot } from '../../core/engine/package-root.ts';
import type { Finding } from '../../core/model/finding.ts';
import type { RunEnd, TaskStatus } from '../../core/model/task.ts';
import { eventually } from '../suites/eventually.ts';
import { run } from './embedded-cluster.ts';

const folder = mkdtempSync(join(tmpdir(), 'cerebro-task-test-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));
const env = { PATH: process.env.PATH ?? '', HOME: folder, TMPDIR: folder, CEREBRO_TOKEN: 'a-token-of-the-test' };

/** `cerebro task` of the built program, as a process that can be sent signals. */
class TaskCommand {
  out = '';
  err = '';
  readonly #child: ChildProcess;
  readonly #ended: Promise<number>;

  constructor(t: Test, ...args: string[]) {
    const program = [process.execPath, join(packageRoot, 'bin', 'tasksitter'), ...args];
    this.#child = spawn('/usr/bin/env', ['-u', 'NODE_OPTIONS', ...program], {
      env,
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.out += text;
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.err += text;
    });
    this.#ended = new Promise((resolve) => this.#child.once('exit', (code) => resolve(code ?? -1)));
    t.teardown(() => this.#child.kill('SIGKILL'));
  }

  says(text: string): Promise<void> {
    return eventually(() => this.out.includes(text), `it says ${text}; it said ${this.out}${this.err}`);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  code(): Promise<number> {
    return this.#ended;
  }
}

/** Whether a process with this in its command line lives, other than a sitter. */
function lives(text: string): boolean {
  return readdirSync('/proc').some((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      return command.includes(text) && !command.includes('tasksitter') && !command.includes('cerebro task');
    } catch {
      return false; // it has ended
    }
  });
}

t.test('signals are handed on; SIGTERM and SIGINT end it with the code that the task makes of them', async (t) => {
  const script =
    "trap 'echo hup' HUP; trap 'echo usr1' USR1; trap 'echo int; exit 4' INT; echo ready; while :; do sleep 0.05; done";
  const task = new TaskCommand(t, '--command', script);
  await task.says('ready');
  task.kill('SIGHUP');
  await task.says('hup');
  task.kill('SIGUSR1');
  await task.says('usr1');
  task.kill('SIGINT');
  t.equal(await task.code(), 4);
  const plain = new TaskCommand(t, '--ensure-alive', '--command', 'echo ready; exec sleep 1000');
  await plain.says('ready');
  plain.kill('SIGTERM');
  t.equal(await plain.code(), 143, 'and it is not started again');
});

t.test('who is asked to end while it starts does not begin its command, or ends it', async (t) => {
  // Somewhere among these moments it has its command line read and its command not begun.
  const moments = [60, 120, 180, 240, 300, 400, 500, 700];
  await Promise.all(
    moments.map(async (ms) => {
      const task = new TaskCommand(t, '--command', `exec sleep 1000.${ms}`);
      await new Promise((resolve) => setTimeout(resolve, ms));
      task.kill('SIGTERM');
      const code = await task.code();
      // -1: by the signal itself, which nobody listened to yet.
      t.ok(code === 143 || code === -1, `it ended with ${code} after ${ms} ms`);
      t.notOk(lives(`sleep 1000.${ms}`), `nothing is left after ${ms} ms`);
    }),
  );
});

t.test('who insists need not wait for stop_timeout', async (t) => {
  const task = new TaskCommand(
    t,
    '--stop-timeout',
    '1000',
    '--command',
    "trap 'echo no' TERM; echo ready; while :; do sleep 0.05; done",
  );
  await task.says('ready');
  task.kill('SIGTERM');
  await task.says('no');
  task.kill('SIGTERM');
  t.equal(await task.code(), 137);
});

t.test('it leaves nothing behind, also when it is killed with -9', async (t) => {
  const seconds = `${2_000_000 + process.pid}`;
  const command = `(setsid sleep ${seconds} &) ; echo ready; exec sleep ${seconds}`;
  const stopped = new TaskCommand(t, '--command', command);
  await stopped.says('ready');
  stopped.kill('SIGTERM');
  await stopped.code();
  t.notOk(lives(seconds));
  const killed = new TaskCommand(t, '--command', command);
  await killed.says('ready');
  killed.kill('SIGKILL');
  await killed.code();
  await eventually(() => !lives(seconds), 'its task is gone');
});

t.test('the HTTP monitor shows figures to all, and the rest to who has the token', async (t) => {
  const port = String(20_000 + (process.pid % 20_000));
  const task = new TaskCommand(
    t,
    ...['--http-monitoring', '--http-monitoring-port', port, '--keep-http-running', '--mem', '100', '--name', 'mine'],
    ...['--stdout-location', folder, '--command', 'echo one; echo two; exit 5'],
  );
  const call = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}${path}`, init);
  const authorization = { authorization: `Bearer ${env.CEREBRO_TOKEN}` };
  const stats = async (): Promise<TaskStatus> => (await call('/stats')).json() as Promise<TaskStatus>;
  await eventually(
    () =>
      call('/healthz').then(
        (answer) => answer.ok,
        () => false,
      ),
    'it listens',
  );
  await eventually(async () => (await stats()).phase === 'failed', 'the task has ended');
  t.match(await stats(), { name: 'mine', limits: { memBytes: 100 * 1024 * 1024 }, lastEnd: { code: 5 } });
  t.match(await (await call('/stats?format=text')).text(), /memory .* of 100\.0 MB, (polled|hard)\n/);
  t.match(await (await call('/stats', { headers: { accept: 'text/plain' } })).text(), /^task {7}mine\n/);
  t.equal((await call('/logs')).status, 401);
  t.equal((await call('/actions', { method: 'POST' })).status, 401);
  t.equal(await (await call('/logs?tail=1', { headers: authorization })).text(), 'two\n');
  const noStderr = await call('/logs?stream=stderr', { headers: authorization });
  t.equal(noStderr.status, 404);
  t.match(await noStderr.text(), /give --stderr-location a folder/);
  const restart = await call('/actions', {
    method: 'POST',
    headers: { ...authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ action: 'restart' }),
  });
  t.equal(restart.status, 200);
  await eventually(async () => (await stats()).run === 2 && (await stats()).phase === 'failed', 'it ran again');
  await eventually(async () => {
    const runs = (await (await call('/runs', { headers: authorization })).json()) as RunEnd[];
    return runs.length === 2 && runs.every(({ code }) => code === 5);
  }, 'both runs have their post-mortems');
  task.kill('SIGINT');
  t.equal(await task.code(), 5);
});

t.test('every key of a task is a flag, and what is wrong with one is said', async (t) => {
  const keys = [
    'limits',
    'on-violation',
    'backoff',
    'health-check',
    'logs',
    'env',
    'cwd',
    'stop-signal',
    'stop-timeout',
  ];
  const sitter = (...args: string[]): ReturnType<typeof run> => {
    const program = [process.execPath, join(packageRoot, 'bin', 'tasksitter'), ...args];
    return run('/usr/bin/env', ['-u', 'NODE_OPTIONS', ...program], env, folder);
  };
  const help = (await sitter('--help')).stdout;
  for (const key of [
    ...keys,
    'cpu',
    'mem',
    'time-limit',
    'ensure-alive',
    'restart',
    'max-restarts',
    'uid',
    'poll-interval',
  ])
    t.match(help, `--${key} `, key);
  const fine = await sitter(
    '--command',
    'echo "$COLOUR $PWD"',
    '--env',
    'COLOUR=blue = x',
    '--cwd',
    '/usr',
    '--limits',
    '{pids: 64}',
  );
  t.equal(fine.stdout, 'blue = x /usr\n');
  for (const [flag, text, said] of [
    ['--mem', 'many', /--mem: .*expected number/],
    ['--limits', '{pids: 3}', /--limits\.pids: expected at least 16/],
    ['--limits', '{', /--limits: "\{" is not YAML/],
    ['--env', 'X', /--env: "X" is not NAME=VALUE/],
    ['--health-check', '{tcp: 80, http: ":80"}', /--health-check: expected one of http, tcp and command/],
    ['--logs', '{max_bytes: lots}', /--logs\.max-bytes: expected bytes, like 67108864 or "64MB"/],
  ] as const) {
    const { code, stderr } = await sitter('--command', 'true', flag, text);
    t.equal(code, 2, flag);
    t.match(stderr, said);
  }
  const enforcer = await sitter('--command', 'true', '--enforcer', 'cgroup');
  t.equal(enforcer.code, 1);
  t.match(enforcer.stderr, /there is no limit enforcer "cgroup"; did you mean "cgroup2"\?/);
});

t.test('doctor says what there is and what to change', async (t) => {
  const doctor = (...args: string[]): ReturnType<typeof run> => {
    const program = [process.execPath, join(packageRoot, 'bin', 'cerebro'), 'doctor', ...args];
    return run('/usr/bin/env', ['-u', 'NODE_OPTIONS', ...program], env, folder);
  };
  const { code, stdout } = await doctor('--json');
  t.equal(code, 0);
  const findings = JSON.parse(stdout) as Finding[];
  for (const about of ['limits by cgroup2', 'limits by proc', 'setsid', 'fallocate'])
    t.ok(
      findings.some((finding) => finding.about === about),
      about,
    );
  t.ok(findings.some(({ grade, found }) => grade === 'good' && found.startsWith('in force')));
  t.match((await doctor()).stdout, /^ok +limits by proc +(in force|works too): cpu measured, mem polled/m);
});
