import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { eventually } from '../suites/eventually.ts';
import { definition, MachineUnderTest } from './machine-under-test.ts';

async function withMachine(t: Test, body: (machine: MachineUnderTest) => Promise<void>): Promise<void> {
  const machine = new MachineUnderTest();
  await machine.start();
  t.teardown(() => machine.remove());
  await body(machine);
}

const test = (name: string, body: (t: Test, machine: MachineUnderTest) => Promise<void>): void => {
  t.test(name, async (t) => withMachine(t, (machine) => body(t, machine)));
};

function alive(pid: number | null): boolean {
  if (pid === null) return false;
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
  } catch {
    return false;
  }
}

function kill(pid: number | null): void {
  if (pid !== null) process.kill(pid, 'SIGKILL');
}

test('a task runs as leader of its own session, with its environment and nothing of ours', async (t, machine) => {
  process.env.CEREBRO_TEST_SECRET = 'the daemon’s own';
  t.teardown(() => {
    delete process.env.CEREBRO_TEST_SECRET;
  });
  await machine.add('env', {
    command: 'env; echo "$PWD"; exec sleep 1000',
    env: { COLOUR: 'blue "quoted" $x' },
    cwd: '/usr',
  });
  const { pid } = await machine.phase('env', 'running');
  t.equal(machine.processes.read(pid ?? 0)?.session, pid);
  const log = machine.sitter.log('env', 'stdout');
  await eventually(() => readFileSync(log.log(1)?.path ?? '', 'utf8').includes('/usr\n'), 'it has written');
  const text = readFileSync(log.log(1)?.path ?? '', 'utf8');
  t.match(text, 'COLOUR=blue "quoted" $x');
  t.match(text, /CEREBRO_COPY=env/);
  t.notMatch(text, /CEREBRO_TEST_SECRET/);
});

test('it is started again when it was killed, at once, and the end is on record', async (t, machine) => {
  await machine.add('web', { command: 'echo oops >&2; exec sleep 1000', ensure_alive: true });
  const first = await machine.phase('web', 'running');
  await eventually(
    () => readFileSync(machine.sitter.log('web', 'stderr').log(1)?.path ?? '', 'utf8') === 'oops\n',
    'it has spoken',
  );
  kill(first.pid);
  const second = await machine.phase('web', 'running', 2);
  t.not(second.pid, first.pid);
  t.equal(second.restarts, 1);
  await eventually(() => machine.sitter.postMortems('web').length === 1, 'the post-mortem is written');
  const [end] = machine.sitter.postMortems('web');
  t.match(end, { run: 1, reason: 'signal', signal: 'SIGKILL', code: null, lastLines: ['oops'] });
});

test('an exit code is known; allow_exit makes 0 completed and anything else failed', async (t, machine) => {
  await machine.add('good', { command: 'exit 0', allow_exit: true });
  await machine.add('bad', { command: 'exit 7', allow_exit: true });
  t.equal((await machine.phase('good', 'exited')).lastEnd?.code, 0);
  t.equal((await machine.phase('bad', 'failed')).lastEnd?.code, 7);
});

test('a task that fails at once waits longer and longer, and max_restarts ends it', async (t, machine) => {
  await machine.add('flap', {
    command: 'exit 1',
    ensure_alive: true,
    allow_exit: true,
    max_restarts: 3,
    backoff: { first: 0, then: 0.05, factor: 2, max: 1, reset_after: 60 },
  });
  const end = await machine.phase('flap', 'failed');
  t.equal(end.restarts, 3);
  t.equal(end.run, 4);
  t.match(end.reason, /as often as max_restarts allows/);
});

test('a stop is asked for politely first; what does not listen is killed, with all that belongs to it', async (t, machine) => {
  await machine.add('polite', { command: "trap 'echo bye; exit 3' TERM; while :; do sleep 0.05; done" });
  await machine.phase('polite', 'running');
  await new Promise((resolve) => setTimeout(resolve, 100));
  machine.sitter.act('polite', 'stop', 'a test');
  const polite = await machine.phase('polite', 'stopped');
  t.match(polite.lastEnd, { code: 3, reason: 'user' });
  await machine.add('deaf', {
    command: "trap '' TERM; sleep 1000 & (setsid sleep 1000 &); while :; do sleep 1; done",
    stop_timeout: 0.2,
  });
  const { pid } = await machine.phase('deaf', 'running');
  machine.sitter.act('deaf', 'stop', 'a test');
  await machine.phase('deaf', 'stopped');
  t.notOk(alive(pid));
});

test('time_limit ends a run, and restart begins another', async (t, machine) => {
  await machine.add('short', { command: 'exec sleep 1000', time_limit: 0.2, restart: true });
  const again = await machine.phase('short', 'running', 2);
  t.equal(again.lastEnd?.reason, 'time');
});

test('a run that grows past mem is ended and started again, and called so with the numbers', async (t, machine) => {
  const hog = `${process.execPath} -e 'const b = Buffer.alloc(150 * 1048576, 1); setInterval(() => b[0]++, 1000)'`;
  await machine.add('hog', {
    command: hog,
    mem: 60,
    restart: true,
    poll_interval: 0.05,
    backoff: { first: 0.5, then: 5, factor: 1, max: 5, reset_after: 60 },
  });
  const after = await machine.phase('hog', 'backoff');
  t.equal(after.lastEnd?.reason, 'mem');
  t.match(after.reason, /of 60 MB/);
  t.ok((after.lastEnd?.peakMemBytes ?? 0) > 60 * 1024 * 1024);
});

test('a daemon that goes away takes no task with it, and the next one adopts them', async (t, machine) => {
  await machine.add('web', { command: 'echo one; exec sleep 1000', ensure_alive: true });
  const before = await machine.phase('web', 'running');
  await machine.letGo();
  t.ok(alive(before.pid));
  await machine.start();
  const after = await machine.phase('web', 'running');
  t.equal(after.pid, before.pid);
  t.equal(after.run, 1);
  kill(after.pid);
  t.equal((await machine.phase('web', 'running', 2)).restarts, 1);
});

test('what ended while no daemon was there: its exit code is known', async (t, machine) => {
  await machine.add('job', { command: 'sleep 0.3; exit 5', allow_exit: true });
  await machine.phase('job', 'running');
  await machine.letGo();
  await new Promise((resolve) => setTimeout(resolve, 700));
  await machine.start();
  t.equal((await machine.phase('job', 'failed')).lastEnd?.code, 5);
});

test('when a shim dies its task is ended whole and started again under a new one, and the event says so', async (t, machine) => {
  await machine.add('web', { command: 'sleep 1000 & wait', ensure_alive: true });
  const { pid } = await machine.phase('web', 'running');
  kill(machine.processes.read(pid ?? 0)?.ppid ?? null);
  await machine.phase('web', 'running', 2);
  t.notOk(alive(pid));
  t.ok(machine.sitter.events.since(0).some((event) => event.message.includes('its shim died')));
});

test('a shim that died while no daemon was there is noticed by the next one', async (t, machine) => {
  await machine.add('web', { command: 'exec sleep 1000', ensure_alive: true });
  const { pid } = await machine.phase('web', 'running');
  await machine.letGo();
  kill(machine.processes.read(pid ?? 0)?.ppid ?? null);
  await machine.start();
  await machine.phase('web', 'running', 2);
  t.notOk(alive(pid));
});

test('after a reboot nothing is adopted by mistake: pids mean nothing any more', async (t, machine) => {
  await machine.add('web', { command: 'exec sleep 1000', ensure_alive: true });
  const before = await machine.phase('web', 'running');
  await machine.letGo();
  await machine.start('another-boot');
  const after = await machine.phase('web', 'running', 2);
  t.equal(after.lastEnd?.reason, 'reboot');
  t.not(after.pid, before.pid);
});

test('adding the same again changes nothing; a change is a new revision and restarts; a new name for nothing does not', async (t, machine) => {
  await machine.add('web', { command: 'exec sleep 1000' });
  const first = await machine.phase('web', 'running');
  await machine.add('web', { command: 'exec sleep 1000' });
  t.equal(machine.task('web').pid, first.pid);
  t.equal(machine.task('web').revision, 1);
  await machine.add('web', { command: 'exec sleep 2000' }, 2);
  const second = await machine.phase('web', 'running', 2);
  t.equal(second.revision, 2);
  t.equal(second.version, 2);
  t.equal(second.lastEnd?.reason, 'deploy');
});

test('a task that is removed is gone, with its files, and may be added again', async (t, machine) => {
  await machine.add('web', { command: 'exec sleep 1000' });
  const { pid } = await machine.phase('web', 'running');
  await Promise.all([machine.sitter.remove('web'), machine.sitter.remove('web')]);
  t.notOk(alive(pid));
  t.throws(() => machine.task('web'), { code: 'not_found' });
  await machine.sitter.remove('web');
  await machine.add('web', { command: 'exec sleep 1000' });
  await machine.phase('web', 'running');
});

test('removed while it starts, restarted while it stops: the last word counts', async (t, machine) => {
  await machine.add('a', { command: 'exec sleep 1000' });
  await machine.sitter.remove('a');
  t.same(machine.sitter.tasks(), []);
  await machine.add('b', { command: "trap '' TERM; while :; do sleep 1; done", stop_timeout: 0.2 });
  await machine.phase('b', 'running');
  machine.sitter.act('b', 'stop', 'a test');
  machine.sitter.act('b', 'restart', 'a test');
  await machine.phase('b', 'running', 2);
});

test('what cannot be started says why, and is tried again', async (t, machine) => {
  await machine.add('lost', { command: 'true', cwd: '/nowhere/at/all', allow_exit: true });
  const lost = await machine.phase('lost', 'failed');
  t.equal(lost.lastEnd?.code, 126);
  await eventually(() => machine.sitter.postMortems('lost')[0]?.lastLines.length, 'its last words are kept');
  t.match(machine.sitter.postMortems('lost')[0]?.lastLines.join(), /cannot enter \/nowhere/);
  await t.rejects(machine.add('nobody', { command: 'true', uid: 'no-such-user' }), {
    code: 'invalid',
    message: /there is no user no-such-user/,
  });
});

test('a task whose files are damaged is reported, and the others run', async (t, machine) => {
  await machine.add('fine', { command: 'exec sleep 1000' });
  await machine.phase('fine', 'running');
  await machine.letGo();
  mkdirSync(join(machine.folder, 'tasks', 'broken'));
  writeFileSync(join(machine.folder, 'tasks', 'broken', 'task.json'), '{"definition": ');
  await machine.start();
  t.equal((await machine.phase('fine', 'running')).run, 1);
  t.equal(machine.sitter.damaged().size, 1);
  t.ok(machine.sitter.events.since(0).some(({ kind }) => kind === 'task-damaged'));
});

test('a suspended machine starts again what ran, and leaves alone what did not', async (t, machine) => {
  await machine.add('on', { command: 'exec sleep 1000' });
  await machine.add('off', { command: 'exec sleep 1000' });
  const on = await machine.phase('on', 'running');
  await machine.phase('off', 'running');
  machine.sitter.act('off', 'stop', 'a test');
  await machine.phase('off', 'stopped');
  await machine.sitter.suspend();
  t.notOk(alive(on.pid));
  await t.rejects(machine.add('late', { command: 'true' }), { code: 'unavailable' });
  await machine.letGo();
  await machine.start();
  await machine.phase('on', 'running', 2);
  t.equal(machine.task('off').phase, 'stopped');
});

test('only so many runs are kept', async (t, machine) => {
  await machine.add('web', {
    command: 'echo hi; exec sleep 1000',
    ensure_alive: true,
    logs: { keep_runs: 3 },
    backoff: { first: 0, then: 0, factor: 1, max: 0, reset_after: 60 },
  });
  for (let run = 1; run <= 6; run++) kill((await machine.phase('web', 'running', run)).pid);
  await machine.phase('web', 'running', 7);
  await eventually(() => machine.sitter.log('web', 'stdout').runs.length === 3, 'three runs are kept');
  t.same(machine.sitter.log('web', 'stdout').runs, [5, 6, 7]);
});

test('a task that ends at once, for ever: its runs are pruned, it is called flapping, and it is removed at once', async (t, machine) => {
  const none = { first: 0, then: 0, factor: 1, max: 0, reset_after: 60 };
  await machine.add('spin', { command: 'exit 0', ensure_alive: true, logs: { keep_runs: 2 }, backoff: none });
  await eventually(() => machine.task('spin').run > 20, 'it has spun');
  t.equal(machine.task('spin').flapping, true);
  await eventually(() => machine.sitter.log('spin', 'stdout').runs.length < 10, 'the old runs go while it spins on');
  await machine.sitter.remove('spin');
  t.same(machine.sitter.tasks(), []);
  t.notOk(existsSync(join(machine.folder, 'tasks', 'spin')));
});

test('what is being removed takes no more orders, and goes', async (t, machine) => {
  await machine.add('web', { command: "trap '' TERM; while :; do sleep 1; done", stop_timeout: 0.3 });
  await machine.phase('web', 'running');
  const removal = machine.sitter.remove('web');
  t.throws(() => machine.sitter.act('web', 'restart', 'a test'), { code: 'conflict', message: /is being removed/ });
  await removal;
  t.same(machine.sitter.tasks(), []);
});

test('a suspension that was cut short is over with the next start: what ran runs again', async (t, machine) => {
  await machine.add('web', { command: "trap '' TERM; echo deaf; while :; do sleep 1; done", stop_timeout: 1 });
  const { pid } = await machine.phase('web', 'running');
  await eventually(
    () => (machine.sitter.log('web', 'stdout').log(1)?.end() ?? 0) > 0,
    'it does not hear signals by now',
  );
  const cut = machine.sitter.suspend();
  await machine.phase('web', 'stopping');
  await machine.letGo();
  await cut;
  kill(pid);
  await machine.start();
  t.equal((await machine.phase('web', 'running', 2)).run, 2);
});

test('a new version of a task that is completed runs', async (t, machine) => {
  await machine.add('job', { command: 'exit 0', allow_exit: true });
  await machine.phase('job', 'exited');
  await machine.add('job', { command: 'exit 0', allow_exit: true }, 2);
  await eventually(() => machine.task('job').run === 2 && machine.task('job').phase === 'exited', 'it ran again');
  t.equal(machine.task('job').version, 2);
});

test('no name in its environment is taken by the shim, or means something to it', async (t, machine) => {
  const env = { dir: 'a', run: 'b', command: 'c', stat: 'd', shell: 'e', marker: 'f', IFS: 'x' };
  for (let n = 0; n < 2; n++) {
    // The second may get a spare shim, which the first gave time to be there.
    await machine.add(`env${n}`, { command: 'env; exec sleep 1000', env });
    await machine.phase(`env${n}`, 'running');
    await new Promise((resolve) => setTimeout(resolve, 150));
    const text = readFileSync(machine.sitter.log(`env${n}`, 'stdout').log(1)?.path ?? '', 'utf8');
    for (const [name, value] of Object.entries(env)) if (name !== 'IFS') t.match(text, `${name}=${value}\n`);
  }
  await machine.add('plain', { command: 'env; exec sleep 1000', env: { dir: 'a', QUOTED: "it's $HOME `x`\n2" } });
  await machine.phase('plain', 'running');
  await eventually(
    () =>
      readFileSync(machine.sitter.log('plain', 'stdout').log(1)?.path ?? '', 'utf8').includes(
        "QUOTED=it's $HOME `x`\n2",
      ),
    'it arrives as it is',
  );
});

test('a pid that is somebody else’s by now is not taken for the task', async (t, machine) => {
  await machine.add('web', { command: 'exec sleep 1000', ensure_alive: false, allow_exit: true });
  const { pid } = await machine.phase('web', 'running');
  await machine.letGo();
  // Start times have a grain of 10 ms; between two lives of one pid there is always more.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const stranger = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
  t.teardown(() => stranger.kill('SIGKILL'));
  const child = join(machine.folder, 'tasks', 'web', 'runs', '1', 'run.json');
  // As if the task had ended and its pid had come round: another process, born later, bears it.
  writeFileSync(child, readFileSync(child, 'utf8').replace(`"pid":${pid}`, `"pid":${stranger.pid}`));
  kill(pid);
  await machine.start();
  await machine.phase('web', 'failed');
  t.ok(alive(stranger.pid ?? null));
});

test('events are numbered without gaps, over restarts of the daemon too', async (t, machine) => {
  await machine.add('web', { command: 'exec sleep 1000' });
  await machine.phase('web', 'running');
  await machine.letGo();
  await machine.start();
  machine.sitter.act('web', 'stop', 'a test');
  await machine.phase('web', 'stopped');
  const seqs = machine.sitter.events.since(0).map(({ seq }) => seq);
  t.ok(seqs.length >= 3);
  t.same(
    seqs,
    seqs.map((_, i) => i + 1),
  );
});

test('names that a file system gives a meaning stay in the folder', async (t, machine) => {
  for (const id of ['...', 'a b', 'ä/ö'.replace('/', '-'), '%2e%2e', 'x'.repeat(128), 'ü'.repeat(128)]) {
    await machine.add(id, { command: 'exec sleep 1000' });
    await machine.phase(id, 'running');
  }
  t.equal(machine.sitter.tasks().length, 6);
  t.ok(existsSync(join(machine.folder, 'tasks')));
  await machine.letGo();
  await machine.start();
  t.equal(machine.sitter.tasks().length, 6);
});

test('an older epoch is refused, a newer one taken', async (t, machine) => {
  machine.sitter.checkEpoch(4);
  machine.sitter.checkEpoch(5);
  t.throws(() => machine.sitter.checkEpoch(4), { code: 'forbidden' });
  machine.sitter.checkEpoch(null);
});

t.test('a job that no schema would let through cannot be defined', async (t) => {
  t.throws(() => definition('x', { command: '' }));
  t.throws(() => definition('x', { command: 'true', cpu: -1 }));
  t.throws(() => definition('..', { command: 'true' }));
});

test('a link in the place of a log is not written through', async (t, machine) => {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-links-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const elsewhere = join(folder, 'elsewhere');
  writeFileSync(elsewhere, 'as it was');
  symlinkSync(elsewhere, join(folder, 'web.1.stdout'));
  await machine.add('web', { command: 'echo mine', stdout_location: folder, allow_exit: true });
  await eventually(() => /symbolic link/.test(machine.task('web').reason), 'it says what is in the way');
  t.equal(readFileSync(elsewhere, 'utf8'), 'as it was');
});
