import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { createDaemon, type Daemon } from '../../core/engine/create-daemon.ts';
import { readSettings } from '../../core/engine/read-settings.ts';
import type { TaskStatus } from '../../core/model/task.ts';
import { definition } from '../machine/machine-under-test.ts';
import { eventually } from '../suites/eventually.ts';

const folder = mkdtempSync(join(tmpdir(), 'cerebro-machine-api-'));
let daemon: Daemon;

const call = (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${daemon.url}${path}`, {
    ...init,
    headers: { authorization: `Bearer ${daemon.adminToken}`, 'content-type': 'application/json', ...init.headers },
  });
const put = (id: string, configuration: Parameters<typeof definition>[1]): Promise<Response> =>
  call(`/api/v1/tasks/${encodeURIComponent(id)}`, {
    method: 'PUT',
    body: JSON.stringify({ definition: definition(id, configuration), start: true }),
  });
const sentence = async (response: Response): Promise<string> =>
  ((await response.json()) as { error: { message: string } }).error.message;

/** Sends a path as it is: fetch would tidy up the dots. */
function rawPath(path: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(daemon.url);
    const outgoing = request(
      { hostname, port, path, headers: { authorization: `Bearer ${daemon.adminToken}` } },
      (answer) => {
        let text = '';
        answer.on('data', (chunk) => {
          text += String(chunk);
        });
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
      },
    );
    outgoing.once('error', reject);
    outgoing.end();
  });
}

t.before(async () => {
  daemon = await createDaemon({
    mode: 'machine',
    settings: readSettings(undefined, { data_dir: folder }),
    pluginsFile: undefined,
    logFile: join(folder, 'log'),
    portFallback: true,
    onStopRequested: () => undefined,
  });
  await daemon.start();
});

t.teardown(async () => {
  const tasks = (await (await call('/api/v1/tasks')).json()) as TaskStatus[];
  for (const { id } of tasks) await call(`/api/v1/tasks/${encodeURIComponent(id)}`, { method: 'DELETE' });
  await daemon.stop();
  rmSync(folder, { recursive: true, force: true, maxRetries: 30 });
});

t.test('the health check is open; everything else needs the token', async (t) => {
  t.equal((await fetch(`${daemon.url}/healthz`)).status, 200);
  for (const path of ['/api/v1/tasks', '/api/v1/machine', '/logs', '/logs/x', '/api/v1/watch', '/api/v1/events']) {
    t.equal((await fetch(`${daemon.url}${path}`)).status, 401, path);
    t.equal((await fetch(`${daemon.url}${path}`, { headers: { authorization: 'Bearer x' } })).status, 401, path);
    t.equal((await fetch(`${daemon.url}${path}`, { headers: { authorization: 'Basic x' } })).status, 401, path);
  }
});

t.test('a task is added, listed, acted on and removed', async (t) => {
  t.equal((await put('Portal Server', { command: 'echo out; echo err >&2; exec sleep 1000' })).status, 200);
  const path = '/api/v1/tasks/Portal%20Server';
  await eventually(async () => ((await (await call(path)).json()) as TaskStatus).phase === 'running', 'it runs');
  t.equal((await call(`${path}/actions`, { method: 'POST', body: '{"action":"stop"}' })).status, 200);
  await eventually(async () => ((await (await call(path)).json()) as TaskStatus).phase === 'stopped', 'it is stopped');
  t.equal((await call(`${path}/actions`, { method: 'POST', body: '{"action":"dance"}' })).status, 400);
  t.equal((await call(path, { method: 'DELETE' })).status, 200);
  t.equal((await call(path)).status, 404);
});

t.test('wrong bodies are refused with the field and what was expected', async (t) => {
  const bad: [string, RegExp][] = [
    ['{', /cannot be read/],
    ['[]', /body/],
    ['{"definition":{}}', /body\.definition\.id/],
    [JSON.stringify({ definition: { ...definition('x', { command: 'true' }), extra: 1 } }), /extra/],
    [
      JSON.stringify({
        definition: { ...definition('x', { command: 'true' }), configuration: { name: 'x', command: 'true', cpu: -1 } },
      }),
      /configuration\.cpu/,
    ],
    [JSON.stringify({ definition: definition('y', { command: 'true' }) }), /the path names "x"/],
  ];
  for (const [body, expected] of bad) {
    const answer = await call('/api/v1/tasks/x', { method: 'PUT', body });
    t.equal(answer.status, 400, body);
    t.match(await sentence(answer), expected);
  }
  t.equal(
    (await call('/api/v1/tasks/x', { method: 'PUT', body: JSON.stringify({ filler: 'x'.repeat(1024 * 1024) }) }))
      .status,
    413,
  );
});

t.test('logs: by name and by job, stream, tail, offset, run; the nearest name for an unknown one', async (t) => {
  await put('counter', { command: 'for i in 1 2 3 4 5; do echo line $i; echo error $i >&2; done; exec sleep 1000' });
  await eventually(async () => (await (await call('/logs/counter')).text()).includes('line 5'), 'it has written');
  const text = async (query: string): Promise<string> => (await call(`/logs/counter${query}`)).text();
  t.equal(await text(''), 'line 1\nline 2\nline 3\nline 4\nline 5\n');
  t.equal(await text('?tail=2'), 'line 4\nline 5\n');
  t.equal(await text('?tail=0'), '');
  t.equal(await text('?tail=100'), await text(''));
  t.equal(await text('?stream=stderr&tail=1'), 'error 5\n');
  t.equal(await text('?offset=28'), 'line 5\n');
  t.equal(await text('?offset=9999'), '');
  t.equal(await text('?run=1&tail=1'), 'line 5\n');
  t.match((await call('/logs/counter')).headers.get('content-type'), /text\/plain/);
  const unknown = await call('/logs/conter');
  t.equal(unknown.status, 404);
  t.match(await sentence(unknown), /did you mean "counter"/);
  t.equal((await call('/logs/counter?run=9')).status, 404);
  for (const query of ['?tail=-1', '?tail=x', '?stream=stdin', '?follow=maybe', '?tial=1', '?offset=1e3']) {
    t.equal((await call(`/logs/counter${query}`)).status, 400, query);
  }
});

t.test('no path leads out of the log folder', async (t) => {
  writeFileSync(join(folder, 'tasks', 'secret'), 'the secret');
  for (const name of [
    '..',
    '.',
    '..%2fsecret',
    '%2e%2e%2fadmin.token',
    '..%5csecret',
    '%00',
    'counter%00',
    'counter/../secret',
    '../admin.token',
    '%2fetc%2fpasswd',
    '..%252fsecret',
  ]) {
    const { status, text } = await rawPath(`/logs/${name}`);
    t.ok(status === 404 || status === 400, `${name}: ${status}`);
    t.notMatch(text, 'the secret');
    t.notMatch(text, daemon.adminToken);
  }
});

t.test('a follower gets what is written later, and the next run after a restart', async (t) => {
  await put('ticker', { command: 'echo run $CEREBRO_COPY; exec sleep 1000', ensure_alive: true });
  const abort = new AbortController();
  const response = await call('/logs/ticker?follow', { signal: abort.signal });
  let text = '';
  const reading = (async () => {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
  })().catch(() => undefined);
  await eventually(() => text === 'run ticker\n', 'the first run is heard');
  await call('/api/v1/tasks/ticker/actions', { method: 'POST', body: '{"action":"restart"}' });
  await eventually(() => text === 'run ticker\nrun ticker\n', 'the second run is heard');
  t.equal(text.split('\n').length, 3);
  abort.abort();
  await reading;
});

t.test('the watch tells everything first, then every change', async (t) => {
  const abort = new AbortController();
  const response = await call('/api/v1/watch?since=0', { signal: abort.signal });
  let text = '';
  const reading = (async () => {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
  })().catch(() => undefined);
  await eventually(() => text.includes('"hello"'), 'it says hello');
  await put('newcomer', { command: 'exec sleep 1000' });
  await eventually(
    () => text.includes('"id":"newcomer"') && text.includes('newcomer runs as pid'),
    'the newcomer is told of',
  );
  await call('/api/v1/tasks/newcomer', { method: 'DELETE' });
  await eventually(() => text.includes('{"type":"task-gone","id":"newcomer"}'), 'its end is told');
  await eventually(() => text.includes('{"type":"beat"}'), 'it beats');
  t.ok(text.startsWith('{"type":"hello"'));
  abort.abort();
  await reading;
});

t.test('a command of an older epoch is refused', async (t) => {
  const remove = (epoch: string): Promise<Response> =>
    call('/api/v1/tasks/nobody', { method: 'DELETE', headers: { 'cerebro-epoch': epoch } });
  t.equal((await remove('7')).status, 200);
  t.equal((await remove('8')).status, 200);
  const old = await remove('7');
  t.equal(old.status, 403);
  t.match(await sentence(old), /epoch 8 leads/);
});

t.test('the OpenAPI document describes every route, and needs no token', async (t) => {
  const document = (await (await fetch(`${daemon.url}/api/v1/openapi.json`)).json()) as {
    openapi: string;
    paths: Record<string, Record<string, { summary: string }>>;
  };
  t.equal(document.openapi, '3.1.0');
  for (const path of ['/api/v1/tasks/{id}', '/logs/{id}', '/api/v1/watch', '/healthz'])
    t.ok(document.paths[path], path);
  t.ok(
    Object.values(document.paths).every((path) =>
      Object.values(path).every((operation) => operation.summary.length > 5),
    ),
  );
});

t.test('what is not there is said, with where to look', async (t) => {
  const answer = await call('/nowhere');
  t.equal(answer.status, 404);
  t.match(await sentence(answer), /openapi\.json/);
});

t.test('the token is in a file of its owner alone', async (t) => {
  t.equal(readFileSync(join(folder, 'admin.token'), 'utf8').trim(), daemon.adminToken);
});
