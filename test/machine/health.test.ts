import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { HealthAnswer } from '../../core/decide/task/task-health.ts';
import { SAME_STANDING } from '../../core/machine/shim/standing.ts';
import { askHealth, type ProbeContext } from '../../core/machine/task/health-probe.ts';
import { type HealthCheck, healthCheck } from '../../core/model/health-check.ts';
import { skipUnless } from '../fakes/needs.ts';
import { eventually } from '../suites/eventually.ts';
import { MachineUnderTest } from './machine-under-test.ts';

const test = (name: string, body: (t: Test, machine: MachineUnderTest) => Promise<void>): void => {
  t.test(name, async (t) => {
    const machine = new MachineUnderTest();
    await machine.start();
    t.teardown(() => machine.remove());
    await body(t, machine);
  });
};

const context: ProbeContext = {
  become: [],
  env: { PATH: process.env.PATH ?? '' },
  cwd: '/',
  standing: SAME_STANDING,
};

function ask(target: Partial<HealthCheck>, signal: AbortSignal = new AbortController().signal): Promise<HealthAnswer> {
  return askHealth(healthCheck.parse({ timeout: 10, ...target }), context, signal);
}

interface Listening {
  port: number;
  /** The connections that are open now. */
  open: Set<Socket>;
  close(): Promise<void>;
}

async function listen(t: Test, server: Server): Promise<Listening> {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('error', () => undefined); // who asks may hang up
    socket.once('close', () => open.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of open) socket.destroy();
    await closed;
  };
  t.teardown(close);
  return { port: (server.address() as AddressInfo).port, open, close };
}

/** An HTTP server that answers as it is told at the moment. */
async function httpServer(
  t: Test,
  first: (response: ServerResponse) => void,
): Promise<Listening & { answer: (response: ServerResponse) => void; asked: number }> {
  const state = { answer: first, asked: 0 };
  const server = createHttpServer((_request, response) => {
    state.asked += 1;
    state.answer(response);
  });
  return Object.assign(state, await listen(t, server));
}

const status =
  (code: number) =>
  (response: ServerResponse): void => {
    response.writeHead(code, code === 302 ? { location: '/' } : {}).end();
  };

/** A number that stands in no other command line of this host. */
let lengths = 0;
const oddLength = (): string => `${100_000 + process.pid}.${process.hrtime()[1]}${++lengths}`;

/** The processes that have a text in their command line and are no zombies. */
function processesWith(text: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').includes(text);
    } catch {
      return false; // it has ended meanwhile
    }
  });
}

function folderOf(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'cerebro-health-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 30 }));
  return folder;
}

const AT_ONCE = { first: 0, then: 0, factor: 1, max: 0, reset_after: 60 };

t.test('what a server over HTTP may answer', async (t) => {
  const server = await httpServer(t, status(200));
  const http = `http://127.0.0.1:${server.port}/health`;
  const table: [what: string, answer: (response: ServerResponse) => void, well: boolean, said: RegExp][] = [
    ['200', status(200), true, / answered 200$/],
    ['204', status(204), true, / answered 204$/],
    ['a way to somewhere else, which is not followed', status(302), true, / answered 302$/],
    ['404', status(404), false, / answered 404$/],
    ['503', status(503), false, / answered 503$/],
    ['a hang-up', (response) => response.socket?.destroy(), false, /: socket hang up/],
    ['what is no HTTP', (response) => response.socket?.end('220 mail.local ESMTP\r\n'), false, /: .*Parse Error/],
    [
      'a body without end',
      (response) => {
        response.writeHead(200);
        const more = (): boolean => response.destroyed || (response.write('x'.repeat(9999)) && more());
        response.on('drain', more);
        more();
      },
      true,
      / answered 200$/,
    ],
  ];
  for (const [what, answer, well, said] of table) {
    server.answer = answer;
    const found = await ask({ http });
    t.equal(found.well, well, what);
    t.match(found.sentence, said, what);
    t.ok(found.sentence.startsWith(http), `${what}: says whom it asked`);
  }
  await eventually(() => server.open.size === 0, 'no connection is left open');
  await server.close();
  t.match(await ask({ http }), { well: false, sentence: /ECONNREFUSED/ });
});

t.test('a port is well when it takes connections', async (t) => {
  const server = await listen(t, createTcpServer());
  t.match(await ask({ tcp: `127.0.0.1:${server.port}` }), { well: true, sentence: /takes connections$/ });
  t.match(await ask({ tcp: `localhost:${server.port}` }), { well: true }, 'by its name too');
  await eventually(() => server.open.size === 0, 'and the connection is given up');
  await server.close();
  t.match(await ask({ tcp: `127.0.0.1:${server.port}` }), { well: false, sentence: /ECONNREFUSED/ });
  t.match(await ask({ tcp: 'nowhere.invalid:80' }), { well: false, sentence: /^nowhere\.invalid:80: / });
});

t.test('a command is well when it exits with 0; its last words are said otherwise', async (t) => {
  t.match(await ask({ command: 'echo fine' }), { well: true, sentence: 'the command ended with code 0' });
  t.match(await ask({ command: 'exit 3' }), { well: false, sentence: 'the command ended with code 3' });
  t.match(await ask({ command: 'kill -9 $$' }), { well: false, sentence: 'the command ended with SIGKILL' });
  t.match(await ask({ command: 'no-such-program' }), { well: false, sentence: /ended with code 127: .*not found/ });
  for (let i = 0; i < 4; i++) {
    const answer = ask({ command: 'echo one; echo the database is away >&2; exit 1' });
    // A daemon that has other things to do: it hears of the words and of the end at once.
    execFileSync('sleep', ['0.3']);
    t.equal((await answer).sentence, 'the command ended with code 1: the database is away');
  }
});

t.test('a command that leaves something behind is answered for, and what it left goes', async (t) => {
  const length = oddLength();
  t.match(await ask({ command: `sleep ${length} & exit 0` }), { well: true });
  await eventually(() => processesWith(length).length === 0, 'what it left has ended');
});

t.test('no answer in time is an answer, and everything that was begun is ended', async (t) => {
  const server = await httpServer(t, () => undefined);
  const http = `http://127.0.0.1:${server.port}/`;
  t.match(await ask({ http, timeout: 0.2 }), { well: false, sentence: `${http}: no answer within 0.2 s` });
  t.equal(server.asked, 1, 'it was asked');
  await eventually(() => server.open.size === 0, 'the connection is given up');

  const mute = await listen(
    t,
    createTcpServer((socket) => socket.resume()),
  );
  const muteHttp = `http://127.0.0.1:${mute.port}/`;
  t.match(await ask({ http: muteHttp, timeout: 0.2 }), { sentence: `${muteHttp}: no answer within 0.2 s` });
  await eventually(() => mute.open.size === 0, 'the connection is given up');

  const length = oddLength();
  const hanging = `trap '' TERM INT HUP; sleep ${length} & (sleep ${length} & sleep ${length}) & sleep ${length}`;
  const answer = ask({ command: hanging, timeout: 1 });
  await eventually(() => processesWith(`sleep ${length}`).length > 3, 'it hangs, with all of its children');
  t.match(await answer, { well: false, sentence: 'the command: no answer within 1 s' });
  await eventually(() => processesWith(length).length === 0, 'its whole group is gone');

  t.match(await ask({ command: 'yes', timeout: 0.3 }), { well: false, sentence: /no answer within/ });
});

t.test('a question that is called off ends at once, with what it began', async (t) => {
  const server = await httpServer(t, () => undefined);
  const length = oddLength();
  const off = new AbortController();
  const questions = [
    ask({ http: `http://127.0.0.1:${server.port}/` }, off.signal),
    ask({ command: `sleep ${length} & sleep ${length}` }, off.signal),
  ];
  await eventually(() => server.open.size === 1 && processesWith(`sleep ${length}`).length > 1, 'both are asked');
  off.abort();
  for (const answer of await Promise.all(questions)) t.equal(answer.well, false);
  await eventually(() => server.open.size === 0 && processesWith(length).length === 0, 'nothing is left');
});

t.test('asking leaves no file open', async (t) => {
  const server = await httpServer(t, status(200));
  const targets: Partial<HealthCheck>[] = [
    { http: `http://127.0.0.1:${server.port}/` },
    { tcp: `127.0.0.1:${server.port}` },
    { command: 'echo x; exit 1' },
    { command: 'sleep 1000', timeout: 0.05 },
    { command: 'true' },
  ];
  const files = (): number => readdirSync('/proc/self/fd').length;
  for (const target of targets) await ask(target);
  await eventually(() => server.open.size === 0, 'the first are over');
  const before = files();
  for (let i = 0; i < 10; i++) for (const target of targets) await ask(target);
  await eventually(() => files() <= before, `no more than ${before} files are open`);
});

test('a run that answers badly too often is ended and started again, and it is said what it answered', async (t, machine) => {
  const server = await httpServer(t, status(503));
  await machine.add('web', {
    command: 'exec sleep 1000',
    health_check: { http: `:${server.port}/health`, interval: 0.1, failures: 2, start_period: 60 },
  });
  const first = await machine.phase('web', 'running');
  const health = (): string | undefined => machine.task('web').health?.sentence;
  await eventually(() => health()?.includes('answered 503; it has 60 s to start'), 'a bad answer does not count yet');
  t.equal(machine.task('web').health?.state, 'starting');
  server.answer = status(200);
  await eventually(() => machine.task('web').health?.state === 'healthy', 'it is well');
  t.match(machine.task('web').health?.sentence, /\/health answered 200$/);
  t.equal(machine.task('web').run, 1, 'its start was its own time');
  t.ok(machine.sitter.events.since(0).some(({ kind }) => kind === 'task-healthy'));
  server.answer = status(500);
  const second = await machine.phase('web', 'running', 2);
  t.not(second.pid, first.pid);
  t.match(second.lastEnd, { run: 1, reason: 'health', sentence: /\/health answered 500 \(2 of 2 failures\)/ });
  t.equal(second.restarts, 1);
  t.equal(second.health?.state, 'starting', 'the new run has its time again');
  await eventually(() => machine.sitter.postMortems('web').length === 1, 'the post-mortem is written');
  t.match(machine.sitter.postMortems('web')[0], { reason: 'health', signal: 'SIGTERM' });
  t.ok(
    machine.sitter.events
      .since(0)
      .some(({ kind, message }) => kind === 'task-ended' && message.includes('answered 500 (2 of 2 failures)')),
    'and the event says it',
  );
  server.answer = status(200);
  await eventually(() => machine.task('web').health?.state === 'healthy', 'it is well again');
  t.equal(machine.task('web').run, 2);
});

test('single failures do no harm', async (t, machine) => {
  const server = await httpServer(t, status(200));
  let count = 0;
  server.answer = (response) => status(++count % 3 === 0 ? 200 : 503)(response);
  await machine.add('web', {
    command: 'exec sleep 1000',
    health_check: { http: `:${server.port}/`, interval: 0.1, failures: 3, start_period: 0 },
  });
  await eventually(() => server.asked > 12, 'it was asked often');
  t.match(machine.task('web'), { phase: 'running', run: 1 });
});

test('a port that closes is noticed, and the run ended that had it', async (t, machine) => {
  const server = await listen(t, createTcpServer());
  await machine.add('db', {
    command: 'exec sleep 1000',
    allow_exit: true,
    health_check: { tcp: server.port, interval: 0.1, failures: 1 },
  });
  await eventually(() => machine.task('db').health?.state === 'healthy', 'it takes connections');
  await server.close();
  const again = await machine.phase('db', 'running', 2);
  t.match(again.lastEnd, { reason: 'health', sentence: /ECONNREFUSED.*\(1 of 1 failures\)/ });
});

test('a task that needs its time to start has it', async (t, machine) => {
  const folder = folderOf(t);
  const program = `
    const server = require('node:http').createServer((request, response) => response.end('here'));
    const go = () => require('node:fs').existsSync('go')
      ? server.listen(0, '127.0.0.1', () => require('node:fs').writeFileSync('port', String(server.address().port)))
      : setTimeout(go, 20);
    go();`;
  const probe = `port=$(cat port) || exit 9; exec ${process.execPath} -e '
    require("node:http").get("http://127.0.0.1:" + process.argv[1], ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1))
      .on("error", () => process.exit(1))' "$port"`;
  await machine.add('slow', {
    command: `exec ${process.execPath} -e "$PROGRAM"`,
    env: { PROGRAM: program },
    cwd: folder,
    health_check: { command: probe, interval: 0.1, timeout: 30, failures: 1, start_period: 600 },
  });
  await eventually(() => machine.task('slow').health?.sentence.includes('code 9'), 'it was asked too early');
  t.equal(machine.task('slow').health?.state, 'starting');
  writeFileSync(join(folder, 'go'), '');
  await eventually(() => machine.task('slow').health?.state === 'healthy', 'it answers in the end');
  t.equal(machine.task('slow').run, 1);
});

test('a task that does not answer when its time is over is started again, and has failed in the end', async (t, machine) => {
  await machine.add('dead', {
    command: 'exec sleep 1000',
    allow_exit: true,
    max_restarts: 2,
    backoff: AT_ONCE,
    health_check: { command: 'echo not yet; exit 1', interval: 0.1, failures: 2, start_period: 0.3 },
  });
  const end = await machine.phase('dead', 'failed');
  t.equal(end.run, 3);
  t.equal(end.lastEnd?.reason, 'health');
  t.match(end.reason, /the command ended with code 1.*as often as max_restarts allows/);
  t.equal(end.health, null);
});

test('a command is run in the folder of the task and with its environment', async (t, machine) => {
  const folder = folderOf(t);
  await machine.add('web', {
    command: 'exec sleep 1000',
    cwd: folder,
    env: { COLOUR: 'blue "quoted" $x' },
    health_check: {
      command: 'echo "$PWD|$COLOUR|$HOME|$CEREBRO_RUN|" >seen.new && mv seen.new seen',
      interval: 0.1,
      timeout: 30,
    },
  });
  await eventually(() => machine.task('web').health?.state === 'healthy', 'it was asked');
  t.equal(
    readFileSync(join(folder, 'seen'), 'utf8'),
    `${folder}|blue "quoted" $x|${process.env.HOME ?? ''}||\n`,
    'and is no process of the run, which its marker would make it',
  );
});

test('a command knows which copy it asks, as the task does', async (t, machine) => {
  const folder = folderOf(t);
  await machine.add('web', {
    command: 'exec sleep 1000',
    cwd: folder,
    health_check: { command: 'echo "$CEREBRO_JOB|$CEREBRO_COPY" >seen.new && mv seen.new seen', interval: 0.1 },
  });
  await eventually(() => existsSync(join(folder, 'seen')), 'it was asked');
  t.equal(readFileSync(join(folder, 'seen'), 'utf8'), 'web|web\n');
});

test('a command is run as the user of the task', async (t, machine) => {
  if (skipUnless(t, process.getuid?.() === 0, 'this test starts a task as another user, which takes root')) return;
  await machine.add('web', {
    command: 'exec sleep 1000',
    uid: 'nobody',
    health_check: { command: 'echo "I am $(id -un), $USER"; exit 1', interval: 0.1, timeout: 30, start_period: 600 },
  });
  await eventually(() => machine.task('web').health?.sentence.includes('I am nobody, nobody'), 'it says so');
});

test('what is known of its health, from its start to its end', async (t, machine) => {
  const folder = folderOf(t);
  await machine.add('plain', { command: 'exec sleep 1000' });
  await machine.phase('plain', 'running');
  t.equal(machine.task('plain').health, null, 'nobody asks');
  await machine.add('web', {
    command: "trap '' TERM; while :; do sleep 0.1; done",
    cwd: folder,
    stop_timeout: 600,
    health_check: { command: 'test -e well', interval: 0.1, timeout: 30, failures: 1, start_period: 600 },
  });
  const first = await machine.phase('web', 'running');
  t.equal(first.health?.state, 'starting');
  writeFileSync(join(folder, 'well'), '');
  await eventually(() => machine.task('web').health?.state === 'healthy', 'it is well');
  rmSync(join(folder, 'well'));
  const stopping = await machine.phase('web', 'stopping');
  t.equal(stopping.health?.state, 'unhealthy');
  t.match(stopping.reason, /the command ended with code 1 \(1 of 1 failures\)/);
  process.kill(first.pid ?? 0, 'SIGKILL');
  t.equal((await machine.phase('web', 'running', 2)).health?.state, 'starting');
  process.kill(machine.task('web').pid ?? 0, 'SIGKILL');
});

test('one question at a time, however slow the answers are', async (t, machine) => {
  let most = 0;
  const server = await httpServer(t, status(200));
  server.answer = (response) => {
    most = Math.max(most, server.open.size);
    setTimeout(() => status(200)(response), 250);
  };
  await machine.add('web', {
    command: 'exec sleep 1000',
    health_check: { http: `:${server.port}/`, interval: 0.1, timeout: 30 },
  });
  await eventually(() => server.asked >= 5, 'it was asked some times');
  t.equal(most, 1);
});

test('with the end of a run the questions end, and the one that was under way', async (t, machine) => {
  const server = await httpServer(t, () => undefined);
  const length = oddLength();
  const check = { interval: 0.1, timeout: 600, start_period: 600 };
  await machine.add('http', { command: 'exec sleep 1000', health_check: { ...check, http: `:${server.port}/` } });
  const hang = { command: `sleep ${length} & sleep ${length}` };
  for (const id of ['stopped', 'removed', 'crashed'])
    await machine.add(id, { command: 'exec sleep 1000', allow_exit: true, health_check: { ...check, ...hang } });
  const hanging = (): number => processesWith(`sleep ${length}`).filter((pid) => !isShell(pid)).length;
  await eventually(() => hanging() === 6 && server.open.size === 1, 'all are asked');
  machine.sitter.act('http', 'stop', 'a test');
  machine.sitter.act('stopped', 'stop', 'a test');
  process.kill(machine.task('crashed').pid ?? 0, 'SIGKILL');
  await machine.sitter.remove('removed');
  await machine.phase('crashed', 'failed');
  for (const id of ['http', 'stopped']) t.equal((await machine.phase(id, 'stopped')).health, null);
  await eventually(() => hanging() === 0 && server.open.size === 0, 'nothing is left of the questions');
  const { asked } = server;
  await new Promise((resolve) => setTimeout(resolve, 400));
  t.equal(server.asked, asked, 'nobody asks any more');
  t.equal(hanging(), 0);
});

test('a daemon that goes away takes its questions with it; the next one asks again', async (t, machine) => {
  const server = await httpServer(t, status(200));
  const length = oddLength();
  const check = { interval: 0.1, failures: 2, start_period: 0.1 };
  await machine.add('web', { command: 'exec sleep 1000', health_check: { ...check, http: `:${server.port}/` } });
  await machine.add('slow', {
    command: 'exec sleep 1000',
    health_check: { command: `sleep ${length}`, interval: 0.1, timeout: 600 },
  });
  await eventually(() => machine.task('web').health?.state === 'healthy', 'it is well');
  await eventually(() => processesWith(length).length > 0, 'the other is being asked');
  const { pid } = machine.task('web');
  await machine.letGo();
  await eventually(() => processesWith(length).length === 0, 'no question is left behind');
  const { asked } = server;
  await new Promise((resolve) => setTimeout(resolve, 400));
  t.equal(server.asked, asked, 'nobody asks while no daemon is there');
  await machine.start();
  await eventually(() => machine.task('web').health?.state === 'healthy', 'it is known again to be well');
  t.match(machine.task('web'), { pid, run: 1 });
  await machine.letGo();
  server.answer = status(503);
  await machine.start();
  const second = await machine.phase('web', 'running', 2);
  t.match(second.lastEnd, { reason: 'health', sentence: /answered 503 \(2 of 2 failures\)/ });
});

function isShell(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').trim() !== 'sleep';
  } catch {
    return true; // it has ended meanwhile
  }
}
