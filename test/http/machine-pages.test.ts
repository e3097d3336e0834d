import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { createDaemon, type Daemon } from '../../core/engine/create-daemon.ts';
import { readSettings } from '../../core/engine/read-settings.ts';
import type { TaskStatus } from '../../core/model/task.ts';
import { type ConfigurationInput, definition } from '../machine/machine-under-test.ts';
import { eventually } from '../suites/eventually.ts';

const folder = mkdtempSync(join(tmpdir(), 'cerebro-machine-pages-'));
let daemon: Daemon;
let cookie = '';
let csrf = '';

const api = (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${daemon.url}${path}`, {
    ...init,
    headers: { authorization: `Bearer ${daemon.adminToken}`, 'content-type': 'application/json' },
  });
const get = (path: string): Promise<Response> =>
  fetch(daemon.url + path, { headers: { cookie, accept: 'text/html' }, redirect: 'manual' });
const page = async (path: string): Promise<string> => (await get(path)).text();
const send = (path: string, fields: Record<string, string>): Promise<Response> =>
  fetch(daemon.url + path, {
    method: 'POST',
    body: new URLSearchParams(fields),
    headers: { cookie },
    redirect: 'manual',
  });
const task = async (id: string): Promise<TaskStatus> =>
  (await (await api(`/api/v1/tasks/${encodeURIComponent(id)}`)).json()) as TaskStatus;
async function add(id: string, configuration: ConfigurationInput): Promise<void> {
  const body = JSON.stringify({ definition: definition(id, configuration), start: true });
  await api(`/api/v1/tasks/${encodeURIComponent(id)}`, { method: 'PUT', body });
}

t.before(async () => {
  daemon = await createDaemon({
    mode: 'machine',
    settings: readSettings(undefined, { data_dir: folder, enforcer: 'proc' }),
    pluginsFile: undefined,
    logFile: join(folder, 'log'),
    portFallback: true,
    onStopRequested: () => undefined,
  });
  await daemon.start();
  await add('ticker', {
    command: 'trap "echo hung up" HUP; echo "<i>begin</i>"; while :; do sleep 0.2; done',
    mem: 1200,
  });
  await add('gone', { command: 'echo last words; exit 3', allow_exit: true });
  await eventually(async () => (await task('ticker')).usage !== null, 'it is measured');
  await eventually(async () => (await task('gone')).lastEnd !== null, 'the other one has ended');
  const answer = await send('/signin', { token: daemon.adminToken });
  cookie = (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
  csrf = /name="_csrf" value="([^"]+)"/.exec(await page('/'))?.[1] ?? '';
});

t.teardown(async () => {
  const tasks = (await (await api('/api/v1/tasks')).json()) as TaskStatus[];
  for (const { id } of tasks) await api(`/api/v1/tasks/${encodeURIComponent(id)}`, { method: 'DELETE' });
  await daemon.stop();
  rmSync(folder, { recursive: true, force: true, maxRetries: 30 });
});

const PAGES = [
  '/',
  '/charts',
  '/charts?span=day',
  '/tasks/ticker',
  '/tasks/gone?span=day',
  '/tasks/ticker/log',
  '/events',
];

t.test('each page is there for who is signed in, and sends everybody else to the sign-in page', async (t) => {
  for (const path of PAGES) {
    const answer = await get(path);
    t.equal(answer.status, 200, path);
    const text = await answer.text();
    t.match(text, /<main id="main".*<\/main>/s);
    t.notMatch(text, /\sstyle=|<style|\son[a-z]+=/i, `${path} has nothing that the Content-Security-Policy drops`);
    t.notMatch(text, daemon.adminToken);
    const stranger = await fetch(daemon.url + path, { redirect: 'manual' });
    const back = path === '/' ? '/signin' : `/signin?next=${encodeURIComponent(path)}`;
    t.equal(stranger.headers.get('location'), back, `${path} without a session`);
  }
  t.equal((await get('/tasks/nobody')).status, 404);
  t.equal((await get('/tasks/ticker/log?run=99')).status, 404);
  t.equal((await get('/tasks/ticker/log?run=x')).status, 400);
});

t.test('the overview says what runs, what of its limits is used, and how the machine is doing', async (t) => {
  const text = await page('/');
  t.match(text, /<h1>1 of 2 tasks runs<\/h1>/);
  t.match(text, /\d+ of 1200 MB, polled/);
  t.match(text, /aria-label="Memory over the last hour: /);
  t.match(text, /Limits are held by proc/);
  t.match(text, /They reserve [\d.]+ of [\d.]+ cores? and [\d.]+ \w+ of [\d.]+ [MG]B that/);
});

t.test('a task’s page has its post-mortems, and its log shows what it wrote as text', async (t) => {
  t.match(await page('/tasks/gone'), /exited with code 3.*last words/s);
  const log = await page('/tasks/ticker/log');
  t.match(log, '&lt;i&gt;begin&lt;/i&gt;');
  t.match(log, /data-follow="\/logs\/ticker\?stream=stdout&amp;run=1&amp;offset=\d+&amp;follow=1"/);
  t.match(await page('/tasks/ticker/log?stream=stderr'), /It has written nothing yet/);
});

t.test('an act needs the CSRF token, and what disturbs a task needs its box ticked', async (t) => {
  t.equal((await send('/tasks/ticker', { do: 'stop', confirm: 'yes' })).status, 403);
  const acts: Record<string, string>[] = [{ do: 'stop' }, { do: 'restart' }, { do: 'signal', signal: 'SIGHUP' }];
  for (const fields of acts) {
    const answer = await send('/tasks/ticker', { ...fields, _csrf: csrf });
    t.equal(answer.status, 400, JSON.stringify(fields));
    t.match(await answer.text(), /needs the box .* to be ticked; nothing was done/);
  }
  const odd = { confirm: 'yes', _csrf: csrf };
  t.equal((await send('/tasks/ticker', { ...odd, do: 'dance' })).status, 400);
  t.equal((await send('/tasks/ticker', { ...odd, do: 'signal', signal: 'SIGWHAT' })).status, 400);
  t.equal((await send('/tasks/nobody', { ...odd, do: 'start' })).status, 404);
  t.equal((await task('ticker')).run, 1);
});

t.test('signal, restart, stop and start do what they say', async (t) => {
  const act = async (fields: Record<string, string>): Promise<string> => {
    const answer = await send('/tasks/ticker', { ...fields, confirm: 'yes', _csrf: csrf });
    t.equal(answer.status, 303);
    return decodeURIComponent(answer.headers.get('location') ?? '');
  };
  t.match(await act({ do: 'signal', signal: 'SIGHUP' }), 'notice=ticker was sent SIGHUP');
  await eventually(async () => (await (await api('/logs/ticker')).text()).includes('hung up'), 'it heard the signal');
  t.match(await page('/events?task=ticker'), /SIGHUP was sent to ticker.*by browser/s);
  t.match(await act({ do: 'restart' }), 'being restarted');
  await eventually(async () => (await task('ticker')).run === 2 && (await task('ticker')).phase === 'running', 'run 2');
  t.match(await act({ do: 'stop' }), 'being stopped');
  await eventually(async () => (await task('ticker')).phase === 'stopped', 'it is stopped');
  t.match(await page('/tasks/ticker'), 'value="start"');
  const signal = await send('/tasks/ticker', { do: 'signal', signal: 'SIGHUP', confirm: 'yes', _csrf: csrf });
  t.equal(signal.status, 409, 'what does not run takes no signal');
  t.match(await act({ do: 'start' }), 'being started');
  await eventually(async () => (await task('ticker')).phase === 'running', 'it runs again');
  t.notMatch(await page('/tasks/ticker/log?run=1'), 'data-follow', 'a run that is over is not followed');
});

t.test('a name is text, whatever is in it', async (t) => {
  await add('Portal <b>Server<', { command: 'exec sleep 1000' });
  for (const path of ['/', '/events', `/tasks/${encodeURIComponent('Portal <b>Server<')}`]) {
    const text = await page(path);
    t.match(text, 'Portal &lt;b&gt;Server&lt;', path);
    t.notMatch(text, 'Portal <b>', path);
  }
  await api(`/api/v1/tasks/${encodeURIComponent('Portal <b>Server<')}`, { method: 'DELETE' });
});
