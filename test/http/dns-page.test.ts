import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { daemonApp } from '../../core/http/daemon-app.ts';
import { Auth } from '../../core/http/doors/auth.ts';
import { HttpServer } from '../../core/http/doors/http-server.ts';
import { Pages } from '../../core/http/pages/pages.ts';
import { dnsRoutes } from '../../core/http/routes/dns-routes.ts';
import type { DnsAliasView, DnsNameView, DnsView } from '../../core/model/dns.ts';
import { UiDashboard } from '../../plugins/ui-dashboard/ui-dashboard.ts';
import { UiDns } from '../../plugins/ui-dns/ui-dns.ts';
import { type FakeClusterApi, smallCluster } from '../fakes/fake-cluster-api.ts';
import { silentLogger } from '../fakes/silent-logger.ts';

const TOKEN = 'the-admin-token';
const AT = '2026-01-02T03:04:05.000Z';
const SCRIPT = '<script>alert(1)</script>';
const templates = join(import.meta.dirname, '..', '..', 'templates');

const poolName: DnsNameView = {
  name: 'local-a.web.test',
  kind: 'pool',
  job: 'web',
  copy: null,
  state: 'published',
  values: Array.from({ length: 12 }, (_, n) => `10.0.0.${n + 1}`),
  wanted: ['10.0.0.1'],
  ttl: 30,
  provider: 'dns-local',
  zone: '.',
  owner: 'cerebro',
  reason: '12 addresses of "web" ready',
  changedAt: AT,
  lastError: null,
};
const copyName: DnsNameView = {
  ...poolName,
  name: '0.local-a.web.test',
  kind: 'copy',
  copy: 'web.1',
  values: ['10.0.0.1'],
};
const alias: DnsAliasView = {
  job: 'web',
  name: 'web.test',
  targets: ['local-a.web.test'],
  state: 'missing',
  reason: 'there is no CNAME',
  checkedAt: AT,
};

/** The pages over a fake cluster, signed in by a bearer token or a browser's session. */
async function pagesOver(t: Test, api: FakeClusterApi): Promise<{ base: string; cookie: string }> {
  const auth = new Auth({ token: TOKEN, sessionKey: randomBytes(32), name: 'test' });
  const plugins = [new UiDashboard(), new UiDns()];
  const pages = new Pages({ plugins, api, auth, logger: silentLogger, templates, assets: {} });
  const app = daemonApp({
    title: 'test',
    version: '0',
    auth,
    logger: silentLogger,
    routes: dnsRoutes(api),
    ready: () => true,
    before: [pages.middleware()],
  });
  const server = new HttpServer(app);
  await pages.start();
  const base = await server.listen('127.0.0.1', 0);
  t.teardown(async () => {
    await pages.stop();
    await server.close();
  });
  const body = new URLSearchParams({ token: TOKEN });
  const answer = await fetch(`${base}/signin`, { method: 'POST', body, redirect: 'manual' });
  return { base, cookie: (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? '' };
}

function web(): FakeClusterApi {
  const api = smallCluster({ job: 'web', slug: 'web', machine: 'local-a-1' });
  api.dnsView = {
    providers: ['dns-local'],
    names: [poolName, copyName],
    aliases: [alias],
    attention: [],
    checkedAt: AT,
  };
  return api;
}

t.test('the page shows every name, what it answers, whose it is, and the CNAMEs that are missing', async (t) => {
  const { base, cookie } = await pagesOver(t, web());
  const page = await (await fetch(`${base}/dns`, { headers: { cookie } })).text();
  t.match(page, 'All 2 names are as they should be');
  t.match(page, /<code>local-a\.web\.test<\/code>.*<code>10\.0\.0\.8<\/code> and 4 more.*cerebro.*dns-local/s);
  t.match(page, /0\.local-a\.web\.test.*href="\/copies\/web\.1"/s);
  t.match(page, /<code>web\.test<\/code>.*missing.*there is no CNAME/s);
  t.match(page, /<a href="\/dns" aria-current="page">DNS<\/a>/);
  t.equal((await fetch(`${base}/dns`, { redirect: 'manual' })).status, 302, 'nobody sees it without signing in');
});

t.test('what is wrong stands first, in words, and is never markup', async (t) => {
  const api = web();
  const failing: DnsNameView = {
    ...poolName,
    state: 'failing',
    lastError: SCRIPT,
    name: `x.${SCRIPT}`,
    reason: SCRIPT,
  };
  const foreign: DnsNameView = { ...copyName, state: 'foreign', copy: null, owner: 'somebody else', values: [SCRIPT] };
  api.dnsView = { ...api.dnsView, names: [failing, foreign], attention: [`x: ${SCRIPT}`] };
  const { base, cookie } = await pagesOver(t, api);
  const page = await (await fetch(`${base}/dns`, { headers: { cookie } })).text();
  t.match(page, 'Not every name is as it should be');
  t.match(page, /What needs attention.*x: &lt;script&gt;/s);
  t.match(page, 'somebody else');
  t.notMatch(page, SCRIPT);
});

t.test('without names it says how to get some', async (t) => {
  const api = web();
  api.dnsView = { providers: [], names: [], aliases: [], attention: [], checkedAt: null };
  const { base, cookie } = await pagesOver(t, api);
  const page = await (await fetch(`${base}/dns`, { headers: { cookie } })).text();
  t.match(page, /No job has names.*dns_basename.*None is loaded/s);
  t.notMatch(await (await fetch(`${base}/jobs/web`, { headers: { cookie } })).text(), 'id="names"');
});

t.test('a job’s page shows its own names and CNAMEs', async (t) => {
  const api = web();
  api.dnsView = { ...api.dnsView, names: [poolName, { ...copyName, job: 'other', name: '0.local-a.other.test' }] };
  const { base, cookie } = await pagesOver(t, api);
  const page = await (await fetch(`${base}/jobs/web`, { headers: { cookie } })).text();
  t.match(page, /id="names".*local-a\.web\.test.*there is no CNAME/s);
  t.notMatch(page, 'other.test');
});

t.test('the button has everything looked at, and tells what was found', async (t) => {
  const api = web();
  const { base, cookie } = await pagesOver(t, api);
  const page = await (await fetch(`${base}/dns`, { headers: { cookie } })).text();
  const csrf = /name="_csrf" value="([^"]+)"/.exec(page)?.[1] ?? '';
  const send = (token: string): Promise<Response> =>
    fetch(`${base}/dns/check`, {
      method: 'POST',
      body: new URLSearchParams({ _csrf: token }),
      headers: { cookie },
      redirect: 'manual',
    });
  t.equal((await send('wrong')).status, 403);
  t.same(api.calls, []);
  const answer = await send(csrf);
  t.equal(answer.status, 303);
  t.equal(answer.headers.get('location')?.split('?')[0], '/dns');
  t.same(api.calls, ['check dns']);
});

t.test('the API gives the same, to those with the token', async (t) => {
  const api = web();
  const { base } = await pagesOver(t, api);
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
  t.same(await (await fetch(`${base}/api/v1/dns`, { headers })).json(), api.dnsView);
  const checked = await fetch(`${base}/api/v1/dns/check`, { method: 'POST', headers, body: '{}' });
  t.same(await checked.json(), api.dnsView);
  t.same(api.calls, ['check dns']);
  t.equal((await fetch(`${base}/api/v1/dns`)).status, 401);
  t.equal((await fetch(`${base}/api/v1/dns/check`, { method: 'POST', body: '{}' })).status, 401);
  const of = async (about: string): Promise<Response> => fetch(`${base}/api/v1/dns?about=${about}`, { headers });
  const one = (await (await of('0.local-a.web.test')).json()) as DnsView;
  t.same(
    one.names.map(({ name }) => name),
    ['0.local-a.web.test'],
  );
  t.equal((await of('nothing.test')).status, 404);
});
