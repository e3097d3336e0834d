import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import t, { type Test } from 'tap';
import { createAuthority, issueCertificate } from '../../core/cluster/access/issue-certificate.ts';
import { LeaderLine } from '../../core/cluster/leader/leader-line.ts';
import { ClusterDoor } from '../../core/http/doors/cluster-door.ts';
import { FORWARDED_BY_HEADER } from '../../core/model/forwarded-call.ts';
import { EtcdServer, skipWithoutEtcd } from '../fakes/etcd-servers.ts';
import { freePort } from '../fakes/free-port.ts';
import { eventually } from '../suites/eventually.ts';
import { job, OneOfSeveral } from './one-of-several.ts';

const HOUR = 3600_000;
async function pair(t: Test): Promise<[OneOfSeveral, OneOfSeveral]> {
  const etcd = await EtcdServer.start();
  const [one, other] = [new OneOfSeveral(await freePort(), [etcd.url]), new OneOfSeveral(await freePort(), [etcd.url])];
  t.teardown(async () => {
    await Promise.all([one.remove(), other.remove()]);
    await etcd.remove();
  });
  await one.start();
  await other.start();
  return [one, other];
}

t.test('who stands by takes orders for the one that leads', async (t) => {
  if (skipWithoutEtcd(t)) return;
  const [leader, standBy] = await pair(t);

  await t.test('it says who leads', async (t) => {
    t.match(await leader.status(), { leads: true, leader: leader.url, attention: [] });
    t.match(await standBy.status(), { leads: false, leader: leader.url });
    t.match((await standBy.status()).attention[0], `stands by and does not lead; the one at ${leader.url} does`);
    t.equal(standBy.token, leader.token, 'one token is good at both');
  });

  await t.test('a job file', async (t) => {
    const answer = await standBy.apply(job('one'));
    t.equal(answer.status, 200);
    t.match(await answer.json(), { changes: [{ job: 'one', change: 'created' }] });
    t.same(await standBy.jobs(), ['one'], 'and shows it at once');
    t.equal(await leader.lastBy('one'), 'token admin', 'by who asked, and not by who passed it on');
    const wrong = await standBy.apply('task_configuration: {nam: x}');
    t.equal(wrong.status, 400, 'a refusal comes back as it is');
    t.match(await wrong.json(), { error: { code: 'invalid', details: { problems: [/nam/] } } });
  });

  await t.test('JSON, a form of 2013, and a request without a body', async (t) => {
    const scale = { method: 'POST', body: '{"count": 0}', headers: { 'content-type': 'application/json' } };
    t.equal((await standBy.fetch('/api/v1/jobs/one/scale', scale)).status, 200);
    const data = JSON.stringify({
      task_configuration: { name: 'two', command: 'sleep 1' },
      deployment_layout: { 'local-a': { count: 0 } },
    });
    const added = await standBy.fetch('/add_job', { method: 'POST', body: new URLSearchParams({ data }) });
    t.match(await added.json(), { status: 'ok', changes: [{ job: 'two' }] });
    t.equal((await standBy.fetch('/api/v1/jobs/two', { method: 'DELETE' })).status, 200);
    await eventually(async () => (await standBy.jobs()).length === 1, 'the job is gone');
  });

  await t.test('a browser that was signed in at either, with the forms of either', async (t) => {
    const signedIn = await fetch(`${leader.url}/signin`, {
      method: 'POST',
      body: new URLSearchParams({ token: leader.token }),
      redirect: 'manual',
    });
    const cookie = (signedIn.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
    const page = async (at: OneOfSeveral, path: string): Promise<string> =>
      (await fetch(at.url + path, { headers: { cookie }, redirect: 'manual' })).text();
    const csrfOf = (text: string): string => /name="_csrf" value="([^"]+)"/.exec(text)?.[1] ?? '';
    const csrf = csrfOf(await page(leader, '/settings'));
    const post = (path: string, fields: Record<string, string>): Promise<Response> =>
      fetch(standBy.url + path, {
        method: 'POST',
        body: new URLSearchParams(fields),
        headers: { cookie, accept: 'text/html' },
        redirect: 'manual',
      });
    const done = await post('/settings/idle-limit', { _csrf: csrf, limit: '3', zone: '' });
    t.equal(done.status, 303);
    t.match(done.headers.get('location'), /^\/settings\?notice=/);
    t.match(await page(standBy, '/settings'), /value="3"|>3</);
    const problem = await post('/settings/idle-limit', { _csrf: csrf, limit: 'many', zone: '' });
    t.equal(problem.status, 400);
    const made = { _csrf: csrfOf(await problem.text()), limit: '2', zone: '' };
    t.equal((await post('/settings/idle-limit', made)).status, 303, 'a form that the leader made can be sent here');
    const own = { _csrf: csrfOf(await page(standBy, '/settings')), limit: '3', zone: '' };
    t.equal((await post('/settings/idle-limit', own)).status, 303, 'and so can its own');
    t.equal((await post('/settings/idle-limit', { _csrf: 'wrong', limit: '4', zone: '' })).status, 403);
    const late = await fetch(`${standBy.url}/jobs/one`, {
      method: 'POST',
      body: new URLSearchParams({ text: 'what was typed', do: 'apply', _csrf: csrf }),
      headers: { accept: 'text/html' },
    });
    t.equal(late.status, 401);
    const page401 = await late.text();
    t.match(page401, 'Your session has ended, so nothing was done.');
    t.match(page401, 'what was typed', 'without a session nothing is passed on, and nothing is lost');
  });

  await t.test('a form of a page, from a program with a token', async (t) => {
    for (const at of [leader, standBy]) {
      const body = new URLSearchParams({ limit: '2', zone: '' });
      const done = await at.fetch('/settings/idle-limit', { method: 'POST', body });
      t.equal(done.status, 303);
      t.match(done.headers.get('location'), /^\/settings\?notice=/);
    }
  });

  await t.test('a token, as good and as narrow at either', async (t) => {
    const json = { 'content-type': 'application/json' };
    const made = await standBy.fetch('/api/v1/tokens', {
      method: 'POST',
      body: JSON.stringify({ name: 'screen', scope: 'read' }),
      headers: json,
    });
    const { token } = (await made.json()) as { token: string };
    for (const at of [leader, standBy]) {
      const headers = { ...json, authorization: `Bearer ${token}` };
      t.equal((await fetch(`${at.url}/api/v1/jobs`, { headers })).status, 200);
      const refused = await fetch(`${at.url}/api/v1/jobs/one/restart`, { method: 'POST', body: '{}', headers });
      t.equal(refused.status, 403, 'what it may not is refused, whoever passes it on');
    }
    t.equal((await standBy.fetch('/api/v1/tokens/screen', { method: 'DELETE' })).status, 200);
  });

  await t.test('nobody else gets by', async (t) => {
    const idle = (at: OneOfSeveral, headers: Record<string, string>): Promise<Response> =>
      fetch(`${at.url}/api/v1/settings/idle-limit`, {
        method: 'PUT',
        body: '{"limit": 9}',
        headers: { 'content-type': 'application/json', ...headers },
      });
    for (const at of [leader, standBy]) {
      t.equal((await idle(at, {})).status, 401);
      t.equal((await idle(at, { authorization: 'Bearer wrong' })).status, 401);
      t.equal((await idle(at, { [FORWARDED_BY_HEADER]: 'me' })).status, 401, 'a header alone is not believed');
      t.notOk(await speaksTls(at, {}), 'nor anybody without a certificate');
      const stranger = await issueCertificate(
        await createAuthority(Date.now()),
        { kind: 'cluster-sitter' },
        Date.now(),
        HOUR,
      );
      t.notOk(await speaksTls(at, { cert: stranger.certificate, key: stranger.key }), 'nor one of another cluster');
    }
  });

  await t.test('what is its own affair it does itself', async (t) => {
    const level = { method: 'PUT', body: '{"level": "debug"}', headers: { 'content-type': 'application/json' } };
    for (const path of ['/api/v1/settings/log-level', '/api/v1/settings/log-level/', '/API/v1/Settings/log-level'])
      t.equal((await standBy.fetch(path, level)).status, 200, path);
    const log = (at: OneOfSeveral): string => readFileSync(join(at.folder, 'log'), 'utf8');
    t.match(log(standBy), 'the log level was changed');
    t.notMatch(log(leader), 'the log level was changed');
    t.match(await (await standBy.fetch('/api/v1/plan', { method: 'POST', body: job('three') })).json(), { plan: [] });
  });

  await t.test('the lead is handed over when its holder stops, and orders go the other way round', async (t) => {
    const { epoch } = await leader.status();
    await leader.stop();
    await eventually(async () => (await standBy.status()).leads, 'the other one leads');
    t.equal((await standBy.apply(job('four'))).status, 200);
    await leader.start();
    t.match(await leader.status(), { leads: false, leader: standBy.url });
    t.equal((await leader.apply(job('five'))).status, 200);
    t.same(await leader.jobs(), ['five', 'four', 'one']);
    t.ok((await standBy.status()).epoch > epoch);
  });
});

/** Whether a request over TLS is answered. */
function speaksTls(at: OneOfSeveral, own: { cert?: string; key?: string }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({
      host: '127.0.0.1',
      port: Number(new URL(at.url).port),
      rejectUnauthorized: false,
      ...own,
    });
    socket.once('secureConnect', () => socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'));
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => socket.destroy());
    socket.once('close', () => resolve(false));
  });
}

t.test('an order that cannot be passed on: whether it may have been done is said', async (t) => {
  const authority = await createAuthority(Date.now());
  const own = { lifetimeMs: HOUR, clock: { now: () => Date.now() } };
  const line = new LeaderLine({
    ...own,
    issue: () => issueCertificate(authority, { kind: 'cluster-sitter' }, Date.now(), HOUR),
  });
  t.teardown(() => line.close());
  const order = { method: 'POST', path: '/api/v1/jobs', headers: {}, body: 'x' };
  const nobody = `http://127.0.0.1:${await freePort()}`;
  await t.rejects(line.send(nobody, order), { code: 'unavailable', message: /does not answer .* nothing was done/ });

  const door = new ClusterDoor((request, response) => {
    if (request.url === '/half') response.write('half of an answer');
    request.socket.end();
  });
  await new Promise<void>((resolve) => door.server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    door.closed();
    door.server.close();
  });
  const address = door.server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  door.use(await issueCertificate(authority, { kind: 'machine', id: 'm-1' }, Date.now(), HOUR));
  await t.rejects(line.send(url, order), { code: 'unavailable', message: /no cluster sitter of this cluster/ });
  door.use(await issueCertificate(authority, { kind: 'cluster-door' }, Date.now(), HOUR));
  await t.rejects(line.send(url, order), { code: 'timeout', message: /may have been done or not/ });
  await t.rejects(line.send(url, { ...order, path: '/half' }), {
    code: 'timeout',
    message: /may have been done or not/,
  });
});
