import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { createDaemon, type Daemon } from '../../core/engine/create-daemon.ts';
import { readSettings } from '../../core/engine/read-settings.ts';
import { history } from '../../core/model/history.ts';
import { machineVitals } from '../../core/model/vitals.ts';
import { definition } from '../machine/machine-under-test.ts';
import { eventually } from '../suites/eventually.ts';

const folder = mkdtempSync(join(tmpdir(), 'cerebro-vitals-api-'));
let daemon: Daemon;

const call = (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${daemon.url}${path}`, {
    ...init,
    headers: { authorization: `Bearer ${daemon.adminToken}`, 'content-type': 'application/json' },
  });

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
  const body = JSON.stringify({
    definition: definition('Portal "Server"', { command: 'while :; do :; done', mem: 64 }),
    start: true,
  });
  await call('/api/v1/tasks/Portal%20%22Server%22', { method: 'PUT', body });
});

t.teardown(async () => {
  await call('/api/v1/tasks/Portal%20%22Server%22', { method: 'DELETE' });
  await daemon.stop();
  rmSync(folder, { recursive: true, force: true, maxRetries: 30 });
});

t.test('vitals, history and metrics need the token', async (t) => {
  for (const path of ['/api/v1/vitals', '/api/v1/history', '/metrics'])
    t.equal((await fetch(`${daemon.url}${path}`)).status, 401, path);
});

t.test('vitals are those of this host and of its tasks', async () => {
  await eventually(async () => {
    const { tasks } = machineVitals.parse(await (await call('/api/v1/vitals')).json());
    return tasks.some(({ id, cpu, memBytes }) => id === 'Portal "Server"' && (cpu ?? 0) > 0 && (memBytes ?? 0) > 0);
  }, 'the task is measured');
});

t.test('there is history soon, of the machine and of a task; what is not there is said', async (t) => {
  const points = async (query: string, series: string): Promise<number> => {
    const { series: all } = history.parse(await (await call(`/api/v1/history?${query}`)).json());
    return (all[series] ?? []).filter((value) => value !== null).length;
  };
  await eventually(async () => (await points('of=machine', 'memBytes')) > 0, 'the machine has a point');
  await eventually(async () => (await points('of=Portal+%22Server%22&span=day', 'cpu')) > 0, 'the task has a point');
  t.equal((await call('/api/v1/history?of=nobody')).status, 404);
  t.equal((await call('/api/v1/history?span=year')).status, 400);
  t.equal((await call('/api/v1/history?off=machine')).status, 400);
});

t.test('metrics are in the form of Prometheus, and hold whatever a task is called', async (t) => {
  const answer = await call('/metrics');
  t.match(answer.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
  const text = await answer.text();
  t.match(text, /^# TYPE cerebro_machine_memory_bytes gauge$/m);
  t.match(text, /^# TYPE cerebro_task_restarts_total counter$/m);
  t.match(text, /^cerebro_machine_cpu_busy_ratio\{core="0"\} [\d.e-]+$/m);
  t.match(text, /^cerebro_tasks\{phase="running"\} 1$/m);
  t.match(text, /^cerebro_task_memory_limit_bytes\{task="Portal \\"Server\\"",job="Portal \\"Server\\""\} 67108864$/m);
  t.match(text, /^cerebro_build_info\{version="[^"]+",mode="machine"\} 1$/m);
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  t.ok(lines.length > 20);
  for (const line of lines) t.match(line, /^cerebro_[a-z_]+(\{.*\})? -?[\d.e+-]+$/);
});

t.test('the watch tells how the machine is doing', async () => {
  const abort = new AbortController();
  const response = await call('/api/v1/watch', { signal: abort.signal });
  let text = '';
  const reading = (async () => {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
  })().catch(() => undefined);
  await eventually(() => text.split('"type":"vitals"').length > 2, 'at once, and again');
  abort.abort();
  await reading;
});
