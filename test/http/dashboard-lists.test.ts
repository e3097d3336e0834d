import t from 'tap';
import { lineDiff } from '../../plugins/ui-dashboard/line-diff.ts';
import { pageOf } from '../../plugins/ui-dashboard/paging.ts';
import { type FakeClusterApi, smallCluster } from '../fakes/fake-cluster-api.ts';
import { largeCluster } from '../fakes/large-cluster.ts';
import { dashboard } from './dashboard-under-test.ts';

const hello = (): FakeClusterApi => smallCluster({ job: 'hello', slug: 'hello', machine: 'local-a-1' });

t.test('alerts come first, each once, with links to what they are about', async (t) => {
  const api = hello();
  const alert = { key: 'a', job: 'hello', machine: 'local-a-1', since: '2026-01-02T03:04:05.000Z', resolvedAt: null };
  api.alertViews = [
    { ...alert, level: 'warn', sentence: 'a zone is <full>' },
    { ...alert, key: 'b', level: 'error', sentence: 'a version has failed' },
    { ...alert, key: 'c', level: 'error', sentence: 'this has passed', resolvedAt: '2026-01-02T03:04:06.000Z' },
  ];
  api.attention = ['a zone is <full>', 'hello.1: it ends again and again'];
  const { browser } = await dashboard(t, api);
  for (const path of ['/', '/alerts']) {
    const page = await browser.page(path);
    t.match(page, /a version has failed.*a zone is &lt;full&gt;.*ends again and again/s, path);
    t.equal(page.split('a zone is &lt;full&gt;').length, 2, `${path} tells it once`);
    t.notMatch(page, 'this has passed', path);
    t.match(page, /a version has failed\s*<span class="about"><a href="\/jobs\/hello">/, path);
  }
  api.alertViews = [];
  api.attention = [];
  t.match(await browser.page('/alerts'), 'Nothing needs attention');
});

t.test('a large cluster has small pages, and every job and machine is on one of the pages of its list', async (t) => {
  const api = largeCluster({ machines: 1000, copies: 10_000 });
  const { browser } = await dashboard(t, api);
  const overview = await browser.page('/');
  t.ok(overview.length < 150_000, `the overview has ${overview.length} bytes`);
  t.match(overview, /List of all 1000/);
  t.match(overview, /All \d+ jobs/);
  for (const [path, ids] of [
    ['/machines', api.machineViews.map(({ id }) => `/machines/${id}`)],
    ['/jobs', api.jobViews.map(({ name }) => `/jobs/${name}`)],
  ] as const) {
    const left = new Set(ids);
    let next: string | undefined = path;
    for (let pages = 0; next !== undefined && pages < 100; pages++) {
      const text = await browser.page(next);
      t.ok(text.length < 150_000, `${next} has ${text.length} bytes`);
      for (const [, href] of text.matchAll(/href="([^"]+)"/g)) left.delete(href ?? '');
      next = /rel="next" href="([^"]+)"/.exec(text)?.[1]?.replaceAll('&amp;', '&');
    }
    t.same([...left], [], path);
  }
});

t.test('lists are narrowed down, and say so when nothing is left', async (t) => {
  const api = largeCluster({ machines: 40, copies: 100 });
  const { browser } = await dashboard(t, api);
  const [machine] = api.machineViews;
  if (!machine) throw new Error('there are machines');
  const some = await browser.page(`/machines?q=${machine.id.toUpperCase()}&zone=${machine.zone}`);
  t.match(some, `id="machine-${machine.id}"`);
  t.equal(some.split('id="machine-').length, 2);
  t.match(await browser.page('/machines?q=nothing-like-it'), 'There are no such machines.');
  t.match(await browser.page('/jobs?state=removing'), 'There are no such jobs.');
  t.match(await browser.page('/events?q=nothing-like-it'), 'There are no such events.');
});

t.test('everything with a name is found, from any page, and what is asked for is text', async (t) => {
  const { browser } = await dashboard(t, hello());
  t.match(await browser.page('/settings'), /<form class="search" method="get" action="\/search".*name="q"/s);
  const page = await browser.page('/search?q=HELLO');
  t.match(page, /id="job-hello".*id="copy-hello.1".*hello.1 runs/s);
  t.match(await browser.page('/search?q=127.0'), 'id="machine-local-a-1"');
  const odd = await browser.page(`/search?q=${encodeURIComponent('"><script>alert(1)</script>')}`);
  t.notMatch(odd, '<script>alert');
  t.match(odd, 'Nothing');
});

t.test('a log page names the copies, what is chosen of them, and where the same is as text', async (t) => {
  const api = largeCluster({ machines: 20, copies: 60 });
  const { browser } = await dashboard(t, api);
  const [first, second] = api.copyViews.filter(({ job }) => job === api.copyViews[0]?.job);
  if (!first || !second) throw new Error('the first job has copies');
  const all = await browser.page(`/jobs/${first.job}/logs?stream=stderr&since=15m`);
  t.equal(all.split('data-source=').length, 5, 'no more than a browser has connections for');
  t.match(all, `data-source="/logs/${first.copy}?stream=stderr&amp;since=15m"`);
  const one = await browser.page(`/jobs/${first.job}/logs?copy=${second.copy}`);
  t.equal(one.split('data-source=').length, 2);
  t.match(one, `data-name="${second.copy}"`);
});

t.test('a page of a list that shrank is the nearest there is', (t) => {
  const all = [1, 2, 3, 4, 5];
  const page = (text: string): unknown => pageOf(all, new URLSearchParams(text), '/x', 2).items;
  t.same(page(''), [1, 2]);
  t.same(page('page=3'), [5]);
  t.same(page('page=99'), [5]);
  t.same(page('page=-1'), [1, 2]);
  t.same(page('page=x'), [1, 2]);
  const second = pageOf(all, new URLSearchParams('q=a&page=2&notice=done'), '/x', 2);
  t.match(second, { first: 3, last: 4, total: 5, previous: '/x?q=a', next: '/x?q=a&page=3' });
  t.match(pageOf([], new URLSearchParams(), '/x', 2), { first: 0, last: 0, total: 0, previous: null, next: null });
  t.end();
});

t.test('a difference has all of both texts, and leaves out what is alike', (t) => {
  const lines = Array.from({ length: 30 }, (_, i) => `line ${i}`);
  const changed = lines.with(20, 'other');
  const diff = lineDiff(lines.join('\n'), changed.join('\n'));
  t.same(
    diff.filter(({ kind }) => kind === 'removed' || kind === 'added'),
    [
      { kind: 'removed', text: 'line 20' },
      { kind: 'added', text: 'other' },
    ],
  );
  t.same(diff[0], { kind: 'gap', text: '17 lines alike' });
  t.same(lineDiff('a\nb', 'a\nb'), []);
  const long = Array.from({ length: 2500 }, (_, i) => `line ${i}`);
  t.same(
    lineDiff(long.join('\n'), long.with(2400, 'other').join('\n')).map(({ text }) => text),
    ['2000 lines alike', 'what comes after line 2000 is not compared'],
  );
  t.same(lineDiff(long.join('\n'), long.join('\n')), []);
  t.same(
    lineDiff('', 'x')
      .map(({ kind }) => kind)
      .sort(),
    ['added', 'removed'],
  );
  t.end();
});
