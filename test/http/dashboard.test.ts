import t from 'tap';
import { CerebroError } from '../../core/errors.ts';
import { FakeClusterApi, smallCluster } from '../fakes/fake-cluster-api.ts';
import { dashboard } from './dashboard-under-test.ts';

const SCRIPT = '<script>alert(1)</script>';
const hello = (): FakeClusterApi => smallCluster({ job: 'hello', slug: 'hello', machine: 'local-a-1' });
const PAGES = [
  '/',
  '/new',
  '/jobs',
  '/jobs?q=hel&state=ready&zone=local-a',
  '/jobs/hello',
  '/jobs/hello/stop',
  '/jobs/hello/remove',
  '/jobs/hello/scale?zone=local-a&count=3',
  '/jobs/hello/versions/2',
  '/jobs/hello/charts',
  '/jobs/hello/logs',
  '/copies/hello.1',
  '/copies/hello.1/logs',
  '/machines',
  '/machines?q=127&state=ready',
  '/machines/local-a-1',
  '/machines/local-a-1/drain',
  '/machines/local-a-1/replace',
  '/alerts',
  '/events',
  '/events?level=warn&q=x',
  '/search',
  '/search?q=hello',
  '/settings',
  '/settings/plugins',
  '/settings/tokens',
];

t.test('every page is there for who is signed in, and sends everybody else to the sign-in page', async (t) => {
  const { base, browser } = await dashboard(t, hello());
  for (const path of PAGES) {
    const answer = await browser.get(path);
    t.equal(answer.status, 200, path);
    t.match(await answer.text(), /<main id="main".*<\/main>/s, `${path} has its content`);
    const stranger = await fetch(base + path, { redirect: 'manual' });
    t.equal(stranger.status, 302, `${path} without a session`);
    const back = path === '/' ? '/signin' : `/signin?next=${encodeURIComponent(path)}`;
    t.equal(stranger.headers.get('location'), back, 'and leads back to where one wanted to go');
  }
  const signin = await fetch(`${base}/signin`);
  t.match(await signin.text(), /<form method="post" action="\/signin">.*name="token"/s);
  const wrong = await fetch(`${base}/signin`, { method: 'POST', body: new URLSearchParams({ token: 'guess' }) });
  t.equal(wrong.status, 401);
  t.match(await wrong.text(), /role="alert"[^>]*>That is not the token/);
});

t.test('no page has inline script or style, which the Content-Security-Policy would drop', async (t) => {
  const { base, browser } = await dashboard(t, hello());
  const texts = await Promise.all([...PAGES, '/jobs/nothing'].map((path) => browser.page(path)));
  texts.push(await (await fetch(`${base}/signin`)).text());
  for (const text of texts) {
    t.notMatch(text, /\sstyle=|<style/i);
    t.notMatch(text, /\son[a-z]+=/i);
    for (const [tag] of text.matchAll(/<script[^>]*>/g)) t.match(tag, /src="\/assets\//);
  }
  t.equal((await browser.get('/assets/app.css')).status, 200);
  t.equal((await browser.get('/assets/app.js')).status, 200);
});

t.test('names, reasons and logs are text, whatever is in them', async (t) => {
  const api = smallCluster({ job: SCRIPT.replace('/', ''), slug: 'script', machine: 'local-a-1' });
  const [copy] = api.copyViews;
  const [job] = api.jobViews;
  if (!copy || !job) throw new Error('the fake has a job and a copy');
  copy.reason = SCRIPT;
  copy.state = 'failing';
  job.zones = { 'local-a': { wanted: 1, ready: 0, starting: 0, failing: 1 } };
  job.record.spec.task_configuration.command = `echo "</textarea>${SCRIPT}"`;
  api.attention = [`it fails: ${SCRIPT}`];
  api.applyError = new CerebroError('invalid', 'two', { details: { problems: [`the form:1: ${SCRIPT}`] } });
  api.ends = [
    {
      run: 1,
      reason: 'exit',
      sentence: SCRIPT,
      code: 1,
      signal: null,
      startedAt: '2026-01-02T03:04:05.000Z',
      endedAt: '2026-01-02T03:04:06.000Z',
      enforcer: 'proc',
      memLimitBytes: null,
      throttledSeconds: 0,
      oomKills: 0,
      peakMemBytes: 1,
      cpuSeconds: 0.1,
      restarts: 0,
      lastLines: [SCRIPT],
    },
  ];
  const { browser } = await dashboard(t, api);
  const name = encodeURIComponent(job.name);
  const asked = ['/', `/jobs/${name}`, '/copies/script.1', '/machines/local-a-1', '/events', `/events?job=${name}`];
  const texts = await Promise.all([...asked, `/?notice=${encodeURIComponent(SCRIPT)}`].map((p) => browser.page(p)));
  texts.push(await (await browser.send(`/jobs/${name}`, { text: `${SCRIPT}</textarea>`, do: 'plan' })).text());
  for (const text of texts) {
    t.notMatch(text, /<script>/);
    t.match(text, /&lt;script&gt;alert\(1\)/);
    t.equal([...text.matchAll(/<\/textarea>/g)].length, [...text.matchAll(/<textarea/g)].length);
  }
  t.match(texts[0], `href="/jobs/${name}"`);
});

t.test('a job shows its copies with the reason, use against limit, and a link to each log', async (t) => {
  const { browser } = await dashboard(t, hello());
  const page = await browser.page('/jobs/hello');
  t.match(page, '/logs/hello.1?stream=stdout&amp;tail=1000');
  t.match(page, '/logs/hello.1?stream=stderr&amp;tail=1000');
  t.match(page, '12 of 64 MB, polled');
  t.match(page, '0.12 of 0.5 cores, measured');
  t.match(page, /<textarea[^>]*>\ntask_configuration:\n {2}name: hello/);
  t.notMatch(page, 'this is why', 'nothing is explained while all is as wanted');
});

t.test(
  'a copy is shown with its post-mortems, or with the sentence that says why they are not to be had',
  async (t) => {
    const api = hello();
    const { browser } = await dashboard(t, api);
    t.match(await browser.page('/copies/hello.1'), 'No run of it has ended yet');
    api.endsError = new CerebroError('unavailable', 'machine local-a-1 does not answer');
    const answer = await browser.get('/copies/hello.1');
    t.equal(answer.status, 200);
    const page = await answer.text();
    t.match(page, 'machine local-a-1 does not answer');
    t.match(page, 'pid 4711');
  },
);

t.test('an empty cluster says what to type', async (t) => {
  const { browser } = await dashboard(t, new FakeClusterApi());
  const page = await browser.page('/');
  t.match(page, 'bin/job_update_cfg examples/hello.yaml');
  t.match(page, 'href="/new"');
  t.match(page, 'Nothing runs yet');
});

t.test('what needs attention is on the overview, a sentence each', async (t) => {
  const api = hello();
  api.attention = ['local-b is full'];
  const { browser } = await dashboard(t, api);
  t.match(await browser.page('/'), /Needs attention.*local-b is full/s);
});

t.test('what is gone still tells its timeline; what never was is not found', async (t) => {
  const api = hello();
  api.timeline.push({
    seq: 3,
    at: '2026-01-02T03:04:05.000Z',
    kind: 'x',
    level: 'warn',
    message: 'ended',
    copy: 'old.1',
  });
  const { browser } = await dashboard(t, api);
  const gone = await browser.get('/copies/old.1');
  t.equal(gone.status, 404);
  t.match(await gone.text(), /no longer there.*ended/s);
  const never = await browser.get('/copies/never.1');
  t.equal(never.status, 404);
  t.match(await never.text(), 'there is no copy &quot;never.1&quot;');
});

t.test('the plan of a changed job is shown beside the text that was sent, and changes nothing', async (t) => {
  const api = hello();
  api.result = {
    changes: [{ job: 'hello', change: 'updated', version: 3, restarts: true }],
    plan: ['restart hello.1 with version 3'],
    price: null,
  };
  const { browser } = await dashboard(t, api);
  const answer = await browser.send('/jobs/hello', { text: 'a: 1\r\nb: 2', do: 'plan' });
  t.equal(answer.status, 200);
  const page = await answer.text();
  t.match(page, 'restart hello.1 with version 3');
  t.match(page, /&quot;hello&quot; is updated: version 3/);
  t.match(page, /<textarea[^>]*>\na: 1\nb: 2<\/textarea>/);
  t.notMatch(page, 'data-live', 'a page with an answer on it is not refreshed away');
  t.same(api.calls, ['plan by browser: a: 1\nb: 2']);
});

t.test('problems are shown beside the text, which is kept', async (t) => {
  const api = hello();
  const problems = ['the form:1: "nmae" is not a key; did you mean "name"?', 'the form:2: no command'];
  api.applyError = new CerebroError('invalid', '2 problems', { details: { problems } });
  const { browser } = await dashboard(t, api);
  const answer = await browser.send('/jobs', { text: 'nmae: x', do: 'apply' });
  t.equal(answer.status, 400);
  const page = await answer.text();
  t.match(page, '<li>line 1: &quot;nmae&quot; is not a key; did you mean &quot;name&quot;?</li>');
  t.match(page, '<li>line 2: no command</li>');
  t.match(page, /aria-invalid="true"[^>]*>\nnmae: x<\/textarea>/);
});

t.test('applying leads to the job, with a sentence about what was done', async (t) => {
  const api = hello();
  api.result = { changes: [{ job: 'a b?', change: 'created', version: 1, restarts: false }], plan: [], price: null };
  const { browser } = await dashboard(t, api);
  const answer = await browser.send('/jobs', { text: 'x', do: 'apply' });
  t.equal(answer.status, 303);
  t.equal(answer.headers.get('location'), '/jobs/a%20b%3F?notice=%22a%20b%3F%22%20was%20added.');
});

t.test('a configuration that somebody else changed meanwhile is not overwritten unseen', async (t) => {
  const api = hello();
  api.result = { changes: [{ job: 'hello', change: 'updated', version: 3, restarts: true }], plan: [], price: null };
  const { browser } = await dashboard(t, api);
  const stale = await browser.send('/jobs/hello', { text: 'mine', do: 'apply', basis: '2025-01-01T00:00:00.000Z' });
  t.equal(stale.status, 409);
  const page = await stale.text();
  t.match(page, 'Somebody else changed this job');
  t.match(page, />\nmine<\/textarea>/);
  t.same(api.calls, []);
  const basis = /name="basis" value="([^"]+)"/.exec(page)?.[1] ?? '';
  t.equal((await browser.send('/jobs/hello', { text: 'mine', do: 'apply', basis })).status, 303);
  t.same(api.calls, ['apply by browser: mine']);
});

t.test(
  'restart, remove, drain and the idle limit reach the cluster; what ends something needs its box ticked',
  async (t) => {
    const api = hello();
    const { browser } = await dashboard(t, api);
    t.equal((await browser.send('/jobs/hello/remove', {})).status, 400);
    t.equal((await browser.send('/machines/local-a-1/drain', {})).status, 400);
    t.equal((await browser.send('/settings/idle-limit', { limit: 'many' })).status, 400);
    t.equal((await browser.send('/settings/idle-limit', { limit: '2', zone: 'Nowhere' })).status, 400);
    t.same(api.calls, []);
    t.equal((await browser.send('/jobs/hello/restart', {})).status, 303);
    t.equal((await browser.send('/copies/hello.1/restart', {})).status, 303);
    t.equal((await browser.send('/machines/local-a-1/drain', { confirm: 'yes' })).status, 303);
    t.equal((await browser.send('/settings/idle-limit', { limit: '-1', zone: '' })).status, 303);
    t.equal((await browser.send('/settings/idle-limit', { limit: '2', zone: 'local-a' })).status, 303);
    t.equal((await browser.send('/jobs/hello/remove', { confirm: 'yes' })).status, 303);
    t.same(api.calls, [
      'restart hello by browser',
      'restart hello.1 by browser',
      'drain local-a-1 by browser',
      'idle limit -1 in each zone by browser',
      'idle limit 2 in local-a by browser',
      'remove hello by browser',
    ]);
  },
);

t.test('a form without its CSRF token is refused, and does nothing', async (t) => {
  const api = hello();
  const { base, browser } = await dashboard(t, api);
  const forms = ['/jobs', '/jobs/hello', '/jobs/hello/restart', '/jobs/hello/remove', '/copies/hello.1/restart'];
  for (const path of [...forms, '/machines/local-a-1/drain', '/settings/idle-limit', '/signout']) {
    t.equal(
      (await browser.send(path, { confirm: 'yes', text: 'x', do: 'apply', limit: '1' }, false)).status,
      403,
      path,
    );
    const stranger = await fetch(base + path, { method: 'POST', body: new URLSearchParams({ confirm: 'yes' }) });
    t.equal(stranger.status, 401, `${path} without a session`);
  }
  t.same(api.calls, []);
});

t.test('events are asked for by job, machine and copy', async (t) => {
  const { browser } = await dashboard(t, hello());
  const all = await browser.page('/events');
  t.match(all, /hello.1 runs.*was created/s, 'newest first');
  const some = await browser.page('/events?copy=hello.1');
  t.match(some, 'hello.1 runs');
  t.notMatch(some, 'was created');
  t.match(some, 'value="hello.1"', 'the filter shows what it was asked for');
});

t.test('an open page is told that something changed', async (t) => {
  const api = hello();
  const { browser } = await dashboard(t, api);
  const answer = await browser.get('/live');
  t.match(answer.headers.get('content-type'), 'text/event-stream');
  const reader = answer.body?.getReader();
  if (!reader) throw new Error('a stream has a body');
  api.change();
  let told = '';
  while (!told.includes('event: change')) told += new TextDecoder().decode((await reader.read()).value);
  t.match(told, 'event: change');
  await reader.cancel();
});

t.test('machines and copies have charts of the last hour or day, or the reason why not', async (t) => {
  const api = hello();
  api.past = { ...api.past, series: { cpu: [0.1, null, 0.3], memBytes: [1048576, null, 2097152] } };
  const { browser } = await dashboard(t, api);
  for (const path of ['/machines/local-a-1', '/copies/hello.1']) {
    const text = await browser.page(`${path}?span=day`);
    t.match(text, /aria-label="CPU over the last hour: between 0\.1 cores and 0\.3 cores/, path);
    t.match(text, /aria-label="Memory over the last hour: between 1 MB and 2 MB/, path);
    t.match(text, new RegExp(`href="${path}\\?span=hour"`));
  }
  t.match(await browser.page('/copies/hello.1'), 'the limit is 64 MB');
  t.strictSame([...new Set(api.calls)].sort(), [
    'history of hello.1 over the day',
    'history of hello.1 over the hour',
    'history of local-a-1 over the day',
  ]);
  api.historyError = new CerebroError('unavailable', 'local-a-1 does not answer');
  const text = await browser.page('/machines/local-a-1');
  t.match(text, /cannot be asked now: local-a-1 does not answer/);
});
