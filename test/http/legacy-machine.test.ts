import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { eventually } from '../suites/eventually.ts';
import { ApiUnderTest } from './api-under-test.ts';

const api = new ApiUnderTest();
t.before(() => api.start());
t.teardown(() => api.remove());

const post = async (path: string, form: Record<string, string>): Promise<{ status: number; body: unknown }> => {
  const answer = await api.call(path, {
    method: 'POST',
    body: new URLSearchParams(form).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  return { status: answer.status, body: await answer.json() };
};

t.test('the endpoints of 2013 on a machine sitter', async (t) => {
  const configuration = { name: 'Portal Server', command: 'echo hello; exec sleep 1000', auto_start: true };
  t.match(await post('/add_task', { data: JSON.stringify(configuration) }), {
    status: 200,
    body: { status: 'ok', added: ['Portal Server'] },
  });
  await api.phase('Portal Server', 'running');
  t.match(await post('/stop_task', { data: '"Portal Server"' }), { status: 200, body: { task: 'Portal Server' } });
  await api.phase('Portal Server', 'stopped');
  t.match(await post('/start_task', { task_name: 'Portal Server' }), { status: 200 });
  await api.phase('Portal Server', 'running', 2);
  t.match(await post('/restart_task', { data: '{"name": "Portal Server"}' }), { status: 200 });
  await api.phase('Portal Server', 'running', 3);
  await eventually(async () => (await api.text('/logfile?task_name=Portal%20Server')) === 'hello\n', 'its log');
  t.match(await api.json('/stats'), { status: 'ok', tasks: [{ id: 'Portal Server', phase: 'running' }] });
  t.match(await post('/write_config', {}), { status: 200, body: { written: ['Portal Server'] } });
  t.match(readFileSync(join(api.folder, 'tasks.yaml'), 'utf8'), /name: Portal Server/);
  t.match(await post('/load_config', {}), { status: 200, body: { unchanged: ['Portal Server'] } });
  t.match(await post('/remove_task', { data: '{"task_name": "Portal Server"}' }), { status: 200 });
  t.same(await api.tasks(), []);
});

t.test('a task whose files are damaged can be removed, and then added again, as the answer says', async (t) => {
  const data = JSON.stringify({ name: 'hurt', command: 'exec sleep 1000', auto_start: true });
  t.equal((await post('/add_task', { data })).status, 200);
  await api.phase('hurt', 'running');
  await api.stop();
  writeFileSync(join(api.folder, 'tasks', 'hurt', 'task.json'), '{');
  await api.start();
  t.same(await api.tasks(), []);
  const refused = { status: 400, body: { error: { message: /damaged.*remove the task before you add it again/ } } };
  t.match(await post('/add_task', { data }), refused);
  t.match(await post('/remove_task', { task_name: 'hurt' }), { status: 200, body: { task: 'hurt' } });
  t.match(await post('/remove_task', { task_name: 'hurt' }), { status: 404 });
  t.match(await post('/add_task', { data }), { status: 200, body: { added: ['hurt'] } });
  await api.phase('hurt', 'running');
  t.equal((await post('/remove_task', { task_name: 'hurt' })).status, 200);
});

t.test('what is wrong is said as elsewhere', async (t) => {
  const cases: [string, Record<string, string>, number, RegExp][] = [
    ['/add_task', {}, 400, /data: expected a task_configuration/],
    ['/add_task', { data: '{"name": "x", "comand": "y"}' }, 400, /data:1: comand: unknown key; did you mean "command"/],
    ['/start_task', { data: '"nobody"' }, 404, /no task "nobody"/],
    ['/remove_task', { task_name: 'nobody' }, 404, /no task "nobody"/],
    ['/stop_task', { data: '5' }, 400, /expected the name of a task/],
  ];
  for (const [path, form, status, message] of cases) {
    const answer = await post(path, form);
    t.match(answer, { status, body: { error: { message } } }, path);
  }
  t.equal((await fetch(`${api.daemon.url}/stats`)).status, 401);
  t.equal((await api.call('/logfile')).status, 400);
});
