import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { TaskStatus } from '../../core/model/task.ts';
import { eventually } from '../suites/eventually.ts';
import { ApiUnderTest } from './api-under-test.ts';

const SLEEP = 'exec sleep 1000';
const sentence = async (response: Response): Promise<string> =>
  ((await response.json()) as { error: { message: string } }).error.message;

async function withApi(test: Test, given: Parameters<ApiUnderTest['start']>[0] = {}): Promise<ApiUnderTest> {
  const api = new ApiUnderTest();
  await api.start(given);
  test.teardown(() => api.remove());
  return api;
}

t.test('a change is held to the revision that it was made from', async (t) => {
  const api = await withApi(t);
  const header = (name: string, value: string): RequestInit => ({ headers: { [name]: value } });
  t.equal((await api.put('web', { command: SLEEP }, header('if-match', '*'))).status, 412);
  const created = await api.put('web', { command: SLEEP }, header('if-none-match', '*'));
  t.equal(created.status, 200);
  t.equal(created.headers.get('etag'), '"1"');
  t.match(await sentence(await api.put('web', { command: SLEEP }, header('if-none-match', '*'))), /is there already/);
  // Two who have read the same: one of them wins, and the other is told.
  const [one, other] = await Promise.all([
    api.put('web', { command: 'exec sleep 1' }, header('if-match', '"1"')),
    api.put('web', { command: 'exec sleep 2' }, header('if-match', '"1"')),
  ]);
  t.same([one.status, other.status].sort(), [200, 412]);
  const lost = one.status === 412 ? one : other;
  t.match(await sentence(lost), /"web" is at revision 2 by now, not 1; read it again/);
  t.equal((await api.act('web', { action: 'stop' }, header('if-match', '"1"'))).status, 412);
  t.equal((await api.act('web', { action: 'stop' }, header('if-match', '"1", "2"'))).status, 200);
  t.equal((await api.call('/api/v1/tasks/web', { method: 'DELETE', ...header('if-match', 'W/"7"') })).status, 412);
  for (const [name, value] of [
    ['if-match', '2'],
    ['if-match', '"x"'],
    ['if-none-match', '"2"'],
  ] as const)
    t.equal((await api.act('web', { action: 'stop' }, header(name, value))).status, 400, `${name}: ${value}`);
  const definition = await api.call('/api/v1/tasks/web/definition');
  t.equal(definition.headers.get('etag'), '"2"');
  t.match(await definition.json(), { id: 'web', configuration: { name: 'web' } });
});

t.test('the list can be filtered', async (t) => {
  const api = await withApi(t);
  await api.put('runs', { command: SLEEP });
  await api.put('done', { command: 'true', allow_exit: true });
  await api.put('fails', { command: 'false', allow_exit: true });
  await api.phase('runs', 'running');
  await api.phase('done', 'exited');
  await api.phase('fails', 'failed');
  const ids = async (query: string): Promise<string> => (await api.tasks(query)).map(({ id }) => id).join();
  t.equal(await ids(''), 'runs,done,fails');
  t.equal(await ids('?phase=running'), 'runs');
  t.equal(await ids('?phase=exited,failed'), 'done,fails');
  t.equal(await ids('?name=done'), 'done');
  t.equal(await ids('?job=fails&phase=running'), '');
  t.equal(await ids('?health=healthy'), '');
  for (const bad of ['?phase=asleep', '?nome=x', '?health=ill'])
    t.equal((await api.call(`/api/v1/tasks${bad}`)).status, 400, bad);
});

t.test('a signal', async (t) => {
  const api = await withApi(t);
  await api.put('ears', { command: "trap 'echo heard' HUP; echo up; while :; do sleep 0.05; done" });
  await eventually(async () => (await api.text('/logs/ears')) === 'up\n', 'it listens');
  t.equal((await api.act('ears', { action: 'signal', signal: 'SIGHUP' })).status, 200);
  await eventually(async () => (await api.text('/logs/ears')) === 'up\nheard\n', 'it has heard');
  for (const order of [
    { action: 'signal' },
    { action: 'signal', signal: 'SIGNOTHING' },
    { action: 'signal', signal: 'SIGHUP', to: 'somebody' },
    { action: 'stop', signal: 'SIGHUP' },
  ])
    t.equal((await api.act('ears', order as Record<string, string>)).status, 400, JSON.stringify(order));
  await api.act('ears', { action: 'stop' });
  await api.phase('ears', 'stopped');
  t.equal((await api.act('ears', { action: 'signal', signal: 'SIGHUP' })).status, 409);
});

t.test('an unknown key is answered with the nearest known one', async (t) => {
  const api = await withApi(t);
  const put = (body: unknown): Promise<Response> =>
    api.call('/api/v1/tasks/x', { method: 'PUT', body: JSON.stringify(body) });
  const configuration = { name: 'x', command: SLEEP };
  const definition = { id: 'x', job: 'x', version: 1, configuration };
  const cases: [unknown, RegExp][] = [
    [
      { definition: { ...definition, configuration: { ...configuration, comand: 'x' } } },
      /configuration\.comand: unknown key; did you mean "command"/,
    ],
    [
      { definition: { ...definition, configuration: { ...configuration, backoff: { frist: 1 } } } },
      /backoff\.frist: unknown key; did you mean "first"/,
    ],
    [{ definition: { ...definition, verison: 2 } }, /definition\.verison: unknown key; did you mean "version"/],
    [{ definition, strat: true }, /body\.strat: unknown key; did you mean "start"/],
  ];
  for (const [body, expected] of cases) {
    const answer = await put(body);
    t.equal(answer.status, 400);
    t.match(await sentence(answer), expected);
  }
});

t.test('a task that does not fit is refused with the numbers', async (t) => {
  const api = await withApi(t, { capacity_cpu: 1, capacity_mem: 100 });
  t.equal((await api.put('a', { command: SLEEP, cpu: 0.7, mem: 60 })).status, 200);
  const refused = await api.put('b', { command: SLEEP, cpu: 0.4, mem: 50 });
  t.equal(refused.status, 409);
  t.match(
    await sentence(refused),
    /"b" does not fit on this machine: it reserves 0\.4 cores, and 0\.3 of 1 are free; it reserves 50 MB of memory, and 40 of 100 MB are free/,
  );
  t.equal((await api.task('a')).revision, 1);
  t.equal((await api.call('/api/v1/tasks/b')).status, 404, 'nothing of it was kept');
  t.equal((await api.put('b', { command: SLEEP, cpu: 0.3, mem: 40 })).status, 200, 'it is filled to the brim');
  t.equal((await api.put('free', { command: SLEEP })).status, 200, 'what reserves nothing always fits');
  t.match(await api.json('/api/v1/machine'), {
    capacity: { cpu: { offered: 1, reserved: 1 }, mem: { offered: 100, reserved: 100 } },
  });
  t.equal((await api.put('a', { command: SLEEP, cpu: 0.8, mem: 60 })).status, 409, 'nor may one grow');
  t.equal((await api.put('a', { command: 'exec sleep 2000', cpu: 0.5, mem: 60 })).status, 200, 'but it may shrink');
  await api.act('b', { action: 'stop' });
  await api.phase('b', 'stopped');
  t.equal((await api.put('c', { command: SLEEP, cpu: 0.5 })).status, 200, 'what is stopped takes no room');
  const start = await api.act('b', { action: 'start' });
  t.equal(start.status, 409);
  t.match(await sentence(start), /0\.3 cores, and 0 of 1 are free/);
});

t.test('the epoch that was heard outlives the daemon', async (t) => {
  const api = await withApi(t);
  const remove = (epoch: string): Promise<Response> =>
    api.call('/api/v1/tasks/nobody', { method: 'DELETE', headers: { 'cerebro-epoch': epoch } });
  t.equal((await remove('8')).status, 200);
  await api.stop();
  await api.start();
  const old = await remove('7');
  t.equal(old.status, 403);
  t.match(await sentence(old), /epoch 8 leads/);
  t.equal((await remove('8')).status, 200);
});

t.test(
  'a task whose files are damaged is reported, gets no twin, and can be removed with what runs of it',
  async (t) => {
    const api = await withApi(t);
    await api.put('broken', { command: SLEEP });
    await api.put('whole', { command: SLEEP });
    const { pid } = await api.phase('broken', 'running');
    await api.phase('whole', 'running');
    await api.stop();
    writeFileSync(join(api.folder, 'tasks', 'broken', 'task.json'), '{"definition":');
    await api.start();
    t.equal((await api.task('whole')).phase, 'running');
    const { damaged } = await api.json<{ damaged: Record<string, string> }>('/api/v1/machine');
    t.match(Object.keys(damaged)[0], /tasks\/broken$/);
    const twin = await api.put('broken', { command: SLEEP });
    t.equal(twin.status, 409);
    t.match(await sentence(twin), /the files of "broken" are damaged .* remove the task/);
    t.equal((await api.call('/api/v1/tasks/broken', { method: 'DELETE' })).status, 200);
    await eventually(() => !isAlive(pid), 'what ran of it has ended');
    t.notOk(existsSync(join(api.folder, 'tasks', 'broken')));
    t.same((await api.json<{ damaged: object }>('/api/v1/machine')).damaged, {});
    t.equal((await api.put('broken', { command: SLEEP })).status, 200, 'and it may be added again');
  },
);

t.test('the kernel is to end tasks before their sitter', async (t) => {
  const api = await withApi(t);
  const scoreOf = (pid: number | string): number => Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'latin1'));
  const own = scoreOf('self');
  await api.put('victim', {
    command: 'cat /proc/self/oom_score_adj; exec sleep 1000',
    health_check: { command: 'cat /proc/self/oom_score_adj; false', interval: 0.1, start_period: 0, failures: 1 },
  });
  await eventually(async () => (await api.text('/logs/victim')).includes('\n'), 'it has said its score');
  const said = Number(await api.text('/logs/victim'));
  // Lowering it takes CAP_SYS_RESOURCE, which not every root has.
  if (own !== -900) t.equal(own, said, 'it could not be lowered here, so tasks have the same');
  else t.ok(said > own, `the daemon has ${own}, its tasks ${said}`);
  let status: TaskStatus | null = null;
  await eventually(async () => {
    status = await api.task('victim');
    return status.restarts > 0;
  }, 'it was found ill');
  t.match(status, { lastEnd: { reason: 'health', sentence: new RegExp(`code 1: ${said}`) } });
});

function isAlive(pid: number | null): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
  } catch {
    return false;
  }
}
