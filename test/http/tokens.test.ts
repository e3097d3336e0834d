import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t, { type Test } from 'tap';
import { z } from 'zod';
import { ApiTokens } from '../../core/cluster/access/api-tokens.ts';
import { ClusterRecords } from '../../core/cluster/records/cluster-records.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import { daemonApp } from '../../core/http/daemon-app.ts';
import { Auth } from '../../core/http/doors/auth.ts';
import { HttpServer } from '../../core/http/doors/http-server.ts';
import { Pages } from '../../core/http/pages/pages.ts';
import { apiRoute } from '../../core/http/routes/api-route.ts';
import { tokenRoutes } from '../../core/http/routes/token-routes.ts';
import {
  type ApiTokenView,
  type MadeApiToken,
  scopeCovers,
  type TokenScope,
  tokenScope,
} from '../../core/model/api-token.ts';
import { UiDashboard } from '../../plugins/ui-dashboard/ui-dashboard.ts';
import { UiSettings } from '../../plugins/ui-settings/ui-settings.ts';
import { smallCluster } from '../fakes/fake-cluster-api.ts';
import { MemoryStore } from '../fakes/memory-store.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { eventually } from '../suites/eventually.ts';

const ADMIN = 'the-admin-token';
const SESSION_KEY = Buffer.alloc(32, 7);

interface Site {
  base: string;
  store: MemoryStore;
  records: ClusterRecords;
  clock: { ahead: number };
  call(token: string, method: string, path: string, body?: unknown): Promise<Response>;
  make(name: string, scope: TokenScope, days?: number): Promise<MadeApiToken>;
  /** A browser that is signed in with a token; `form` sends one with its CSRF token. */
  browser(token: string): Promise<{
    get(path: string): Promise<Response>;
    form(path: string, fields?: Record<string, string>): Promise<Response>;
  }>;
}

/** Real tokens in a real store, behind the real app; the cluster beside them is a fake. */
async function site(t: Test): Promise<Site> {
  const store = new MemoryStore();
  const real = new SystemClock();
  const moved = { ahead: 0 };
  const clock = {
    now: () => real.now() + moved.ahead,
    monotonic: () => real.monotonic(),
    timer: (ms: number, callback: () => void) => real.timer(ms, callback),
  };
  const records = new ClusterRecords(store, clock);
  await records.load();
  const tokens = new ApiTokens({ records, clock, logger: silentLogger });
  const api = smallCluster({ job: 'hello', slug: 'hello', machine: 'local-a-1' });
  Object.assign(api, { tokens });
  const auth = new Auth({ token: ADMIN, sessionKey: SESSION_KEY, name: 'test', holders: tokens });
  const templates = join(import.meta.dirname, '..', '..', 'templates');
  const plugins = [new UiDashboard(), new UiSettings()];
  const pages = new Pages({ plugins, api, auth, logger: silentLogger, templates, assets: {} });
  const who = z.object({ by: z.string() });
  const app = daemonApp({
    title: 'test',
    version: '0',
    auth,
    logger: silentLogger,
    routes: [
      ...tokenRoutes(tokens),
      apiRoute({ method: 'get', path: '/look', summary: '', answer: who, handle: ({ by }) => ({ by }) }),
      apiRoute({
        method: 'get',
        path: '/follow',
        summary: '',
        answer: z.string(),
        handle: (_input, ctx) => {
          ctx.body = new Readable({ read: () => undefined });
          ctx.flushHeaders();
        },
      }),
      apiRoute({ method: 'post', path: '/do', summary: '', answer: who, handle: ({ by }) => ({ by }) }),
    ],
    ready: () => true,
    errorPage: (ctx, answer) => pages.errorPage(ctx, answer),
    before: [pages.middleware()],
  });
  const server = new HttpServer(app);
  const base = await server.listen('127.0.0.1', 0);
  await pages.start();
  t.teardown(async () => {
    await pages.stop();
    await server.close();
    records.close();
  });
  const call: Site['call'] = (token, method, path, body) =>
    fetch(base + path, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  return {
    base,
    store,
    records,
    clock: moved,
    call,
    make: async (name, scope, days) => {
      const answer = await call(ADMIN, 'POST', '/api/v1/tokens', { name, scope, ...(days !== undefined && { days }) });
      t.equal(answer.status, 200);
      return (await answer.json()) as MadeApiToken;
    },
    browser: async (token) => {
      const body = new URLSearchParams({ token });
      const answer = await fetch(`${base}/signin`, { method: 'POST', body, redirect: 'manual' });
      const cookie = (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
      const get = (path: string): Promise<Response> => fetch(base + path, { headers: { cookie }, redirect: 'manual' });
      const csrf = /name="_csrf" value="([^"]+)"/.exec(await (await get('/')).text())?.[1] ?? '';
      const form = (path: string, fields: Record<string, string> = {}): Promise<Response> => {
        const sent = new URLSearchParams({ ...fields, _csrf: csrf });
        return fetch(base + path, { method: 'POST', body: sent, headers: { cookie }, redirect: 'manual' });
      };
      return { get, form };
    },
  };
}

t.test('a token is shown once, and the store has only its hash', async (t) => {
  const { call, make, store, records } = await site(t);
  const { token, about } = await make('deploy pipeline', 'operate');
  t.match(token, /^cerebro_[\w-]{43}$/);
  t.match(about, { name: 'deploy pipeline', scope: 'operate', by: 'token admin', lastUsedAt: null, expiresAt: null });
  const kept = JSON.stringify((await store.list('')).entries);
  t.notMatch(kept, token.slice(8), 'not in the store, nor on the timeline');
  t.notMatch(await (await call(ADMIN, 'GET', '/api/v1/tokens')).text(), /hash|cerebro_/);
  t.match(records.events.at(-1), {
    kind: 'token-created',
    message: 'token "deploy pipeline" may operate',
    by: 'token admin',
  });
  const twice = await call(ADMIN, 'POST', '/api/v1/tokens', { name: 'deploy pipeline', scope: 'read' });
  t.equal(twice.status, 409);
  t.match(await twice.text(), /there is a token \\"deploy pipeline\\" already/);
  for (const wrong of [
    { name: '<b>', scope: 'read' },
    { name: 'x', scope: 'all' },
    { name: 'admin', scope: 'read' },
    { name: 'x', scope: 'read', days: 0 },
  ])
    t.equal((await call(ADMIN, 'POST', '/api/v1/tokens', wrong)).status, 400, JSON.stringify(wrong));
});

t.test('a scope covers itself and what is below it', async (t) => {
  const able = tokenScope.options.map((held) => tokenScope.options.filter((needed) => scopeCovers(held, needed)));
  t.strictSame(able, [['read'], ['read', 'operate'], ['read', 'operate', 'admin']]);
});

t.test('over the API, each scope may what it says and is told what else it needed', async (t) => {
  const { call, make } = await site(t);
  const calls = [
    ['GET', '/look', 'read'],
    ['POST', '/do', 'operate'],
    ['GET', '/api/v1/tokens', 'admin'],
  ] as const;
  for (const scope of tokenScope.options) {
    const { token } = await make(`for ${scope}`, scope);
    for (const [method, path, needed] of calls) {
      const answer = await call(token, method, path);
      const text = await answer.text();
      t.equal(answer.status, scopeCovers(scope, needed) ? 200 : 403, `${scope}: ${method} ${path}`);
      if (answer.status === 403) t.match(text, `this needs a token of scope ${needed}`);
      else if (path !== '/api/v1/tokens') t.match(text, `token for ${scope}`, 'and is known by its name');
    }
  }
});

t.test('a browser that signed in with a token may no more than the token, and ends with it', async (t) => {
  const { call, make, browser, records } = await site(t);
  const reader = await make('screen in the hall', 'read');
  const hall = await browser(reader.token);
  const page = await (await hall.get('/')).text();
  t.match(page, /<body class="reader">/, 'what would be refused is not offered');
  t.match(page, 'screen in the hall (browser), may read');
  t.equal((await hall.form('/jobs/hello/restart')).status, 403);
  t.equal((await hall.get('/settings')).status, 200);
  t.equal((await hall.get('/settings/tokens')).status, 403);
  t.equal((await hall.form('/settings/idle-limit', { limit: '3' })).status, 403);
  const operator = await make('Ada', 'operate');
  const ada = await browser(operator.token);
  t.equal((await ada.form('/jobs/hello/restart')).status, 303);
  t.equal((await ada.form('/settings/idle-limit', { limit: '3' })).status, 403);
  t.equal((await call(ADMIN, 'DELETE', `/api/v1/tokens/${encodeURIComponent('Ada')}`)).status, 200);
  t.equal((await ada.get('/jobs')).headers.get('location'), '/signin?next=%2Fjobs', 'she is signed out');
  t.equal((await call(operator.token, 'GET', '/look')).status, 401);
  t.match(records.events.at(-1), { kind: 'token-revoked', message: 'token "Ada" is revoked', by: 'token admin' });
  const again = await make('Ada', 'operate');
  t.equal((await ada.get('/jobs')).status, 302, 'a token of the same name does not bring her session back');
  t.equal((await call(again.token, 'GET', '/look')).status, 200);
});

t.test('who listens with a token that is revoked hears no more, by bearer or as a browser', async (t) => {
  const { call, make, browser } = await site(t);
  const { token } = await make('follower', 'read');
  const { get } = await browser(token);
  const ended = new Set<string>();
  const listen = async (who: string, open: Promise<Response>): Promise<void> => {
    const answer = await open;
    t.equal(answer.status, 200, who);
    answer.text().then(
      () => ended.add(who),
      () => ended.add(who),
    );
  };
  await listen('bearer', call(token, 'GET', '/follow'));
  await listen('browser', get('/live'));
  await listen('admin', call(ADMIN, 'GET', '/follow'));
  t.equal((await call(ADMIN, 'DELETE', '/api/v1/tokens/follower')).status, 200);
  await eventually(() => ended.has('bearer') && ended.has('browser'), 'their streams end');
  t.notOk(ended.has('admin'), 'others go on');
});

t.test('a token ends when its days are over', async (t) => {
  const { call, make, browser, clock } = await site(t);
  const { token, about } = await make('for a week', 'read', 7);
  t.equal(Date.parse(about.expiresAt ?? '') - Date.parse(about.createdAt), 7 * 86_400_000);
  const { get } = await browser(token);
  t.equal((await get('/')).status, 200);
  clock.ahead = 7 * 86_400_000;
  t.equal((await call(token, 'GET', '/look')).status, 401);
  t.equal((await get('/')).status, 302);
});

t.test('the last use is there, and many uses are one note in the store', async (t) => {
  const { call, make, store, clock, records } = await site(t);
  const { token, about } = await make('busy', 'read');
  const used = async (): Promise<string | null> => {
    const all = (await (await call(ADMIN, 'GET', '/api/v1/tokens')).json()) as ApiTokenView[];
    return all.find(({ id }) => id === about.id)?.lastUsedAt ?? null;
  };
  t.equal(await used(), null);
  const noted = (): string | null => records.tokens.get(about.id)?.lastUsedAt ?? null;
  const { revision } = await store.list('');
  for (let i = 0; i < 20; i++) await call(token, 'GET', '/look');
  await eventually(() => noted() !== null, 'it is noted');
  t.equal((await store.list('')).revision, revision + 1);
  const first = await used();
  t.ok(first);
  clock.ahead = 30_000;
  await call(token, 'GET', '/look');
  t.ok(Date.parse((await used()) ?? '') > Date.parse(first ?? ''), 'what is shown is newer than the note');
  clock.ahead = 90_000;
  await call(token, 'GET', '/look');
  await eventually(async () => (await store.list('')).revision === revision + 2, 'it is noted once more');
});

t.test('a form whose session has ended does nothing, and what was typed is not lost', async (t) => {
  const { base } = await site(t);
  const body = new URLSearchParams({ text: 'name: </textarea><script>', do: 'apply', _csrf: 'x' });
  const answer = await fetch(`${base}/jobs/hello`, { method: 'POST', body, redirect: 'manual' });
  t.equal(answer.status, 401);
  const page = await answer.text();
  t.match(page, 'Your session has ended, so nothing was done.');
  t.match(page, 'name: &lt;/textarea&gt;&lt;script&gt;');
});

/** The cookie of a session that ran out a minute ago. */
function lateCookie(holder = ''): string {
  const text = `an-id.${holder}.${Date.now() - 60_000}`;
  const signature = createHmac('sha256', SESSION_KEY).update(`session:${text}`).digest('base64url');
  return `cerebro_test=${text}.${signature}`;
}

t.test(
  'a long form whose session has run out is shown as well, and one of nobody is refused with the reason',
  async (t) => {
    const { base, call, make } = await site(t);
    const { about } = await make('gone', 'operate');
    t.equal((await call(ADMIN, 'DELETE', '/api/v1/tokens/gone')).status, 200);
    const text = `# ${'x'.repeat(40_000)} the end`;
    const send = (
      headers: Record<string, string>,
      body: string | URLSearchParams,
      path = '/jobs/hello',
    ): Promise<Response> =>
      fetch(base + path, { method: 'POST', body, headers: { accept: 'text/html', ...headers }, redirect: 'manual' });
    const form = new URLSearchParams({ text, do: 'apply', _csrf: 'x' });
    for (const path of ['/jobs/hello', '/do']) {
      const late = await send({ cookie: lateCookie() }, form, path);
      t.equal(late.status, 401);
      const page = await late.text();
      t.match(page, 'Your session has ended, so nothing was done.');
      t.match(page, 'the end</textarea>', 'all that was typed is there, whoever answers');
    }
    const forged = lateCookie()
      .replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))
      .replace('an-id', 'another-id');
    for (const cookie of ['', forged, lateCookie(about.id)]) {
      const refused = await send({ cookie }, form);
      t.equal(refused.status, 401);
      t.match(await refused.text(), /nobody is signed in here.*no more than 16 KB of a form/);
    }
    const json = { 'content-type': 'application/json' };
    t.equal(
      (await send({ cookie: lateCookie(), ...json }, JSON.stringify({ text }), '/do')).status,
      413,
      'but forms alone',
    );
    const tooLong = new URLSearchParams({ text: 'x'.repeat(1_100_000) });
    t.equal((await send({ cookie: lateCookie() }, tooLong)).status, 413);
    t.equal(
      (await fetch(base, { headers: { cookie: lateCookie() }, redirect: 'manual' })).status,
      302,
      'it opens nothing',
    );
  },
);

t.test('a cookie is sent for some time after its session', async (t) => {
  const { base } = await site(t);
  const body = new URLSearchParams({ token: ADMIN });
  const cookie = (await fetch(`${base}/signin`, { method: 'POST', body, redirect: 'manual' })).headers.get(
    'set-cookie',
  );
  const ends = Number(cookie?.split('.')[2]);
  const forgotten = Date.parse(/expires=([^;]+)/i.exec(cookie ?? '')?.[1] ?? '');
  t.ok(forgotten > ends + 86_400_000);
});

t.test('the sign-in leads back to where one wanted to go, and nowhere else', async (t) => {
  const { base } = await site(t);
  const after = async (next: string): Promise<string | null> => {
    const body = new URLSearchParams({ token: ADMIN, next });
    return (await fetch(`${base}/signin`, { method: 'POST', body, redirect: 'manual' })).headers.get('location');
  };
  t.equal(await after('/jobs/hello?page=2'), '/jobs/hello?page=2');
  for (const evil of ['//evil.example', '/\\evil.example', 'https://evil.example', '/\t/evil.example', '/signout', ''])
    t.equal(await after(evil), '/', evil);
});
