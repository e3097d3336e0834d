import t from 'tap';
import { CerebroError } from '../../core/errors.ts';
import { FakeDnsProvider } from '../fakes/fake-dns-provider.ts';
import { eventually } from '../suites/eventually.ts';
import { DnsBench, type Zones } from './dns-bench.ts';

const POOL = 'local-a.web.test';
const AWAY = new CerebroError('unavailable', 'nobody answers');

t.test('the names of a job are published together, and each is marked as ours', async (t) => {
  const bench = await new DnsBench().begin(t);
  await bench.runs('web', 2);
  await bench.settled();
  t.same(bench.at(POOL), ['10.0.0.1', '10.0.0.2']);
  t.same(bench.at('1.local-a.web.test'), ['10.0.0.2']);
  t.same(bench.at(`_cerebro.${POOL}`, 'TXT'), ['heritage=cerebro,cluster=cluster-1']);
  t.equal(bench.provider.batches.length, 1);
  t.match(bench.events('dns-changed'), [
    /^0\.local-a\.web\.test answers with 10\.0\.0\.1: web\.1 is on/,
    /^1\./,
    /^local-a/,
  ]);
  const view = bench.publisher.view();
  t.same(view.attention, []);
  t.match(view.names[0], {
    name: POOL,
    owner: 'cerebro',
    state: 'published',
    provider: 'fake',
    zone: 'test',
    lastError: null,
  });
});

t.test('300 copies in one pool go out in a few batches', async (t) => {
  const bench = await new DnsBench().begin(t);
  await bench.runs('web', 300);
  await bench.settled();
  t.equal(bench.at(POOL).length, 300);
  t.equal(bench.provider.batches.length, 4);
});

t.test('a provider that is away delays names; what was lost meanwhile is made up for', async (t) => {
  const bench = await new DnsBench().begin(t);
  bench.provider.failNext = [AWAY, AWAY];
  await bench.runs('web', 1);
  await eventually(() => bench.attention.length > 0, 'it is said');
  t.match(bench.attention, [/2 names \(.*\) are not as wanted yet: fake: nobody answers/]);
  t.match(bench.publisher.view().names[0], { state: 'failing', lastError: 'nobody answers' });
  await bench.settled();
  t.same(bench.at(POOL), ['10.0.0.1']);
  t.same(bench.attention, []);
  t.equal(bench.events('dns-trouble').length, 1, 'told once');
});

t.test('an answer that was lost: it looks, finds its own, and goes on', async (t) => {
  const bench = await new DnsBench().begin(t);
  bench.provider.loseAnswers = true;
  bench.provider.failNext = [AWAY];
  await bench.runs('web', 1);
  await bench.settled();
  t.same(bench.at(POOL), ['10.0.0.1']);
  t.equal(bench.provider.batches.length, 1, 'it was not sent again');
  t.same(bench.events('dns-foreign'), []);
});

t.test(
  'killed between sending and hearing: the next one looks first, also when something else is wanted by then',
  async (t) => {
    const bench = await new DnsBench().begin(t);
    await bench.runs('web', 2);
    await bench.settled();
    // It is carried out, and this one never hears of it.
    bench.provider.loseAnswers = true;
    bench.provider.failNext = Array.from({ length: 100 }, () => AWAY);
    await bench.stops('web.1');
    await bench.answers(POOL, ['10.0.0.2']);
    await bench.end();
    bench.provider.failNext = [];
    bench.cluster.machine('local-a-9', { address: '10.0.0.9' }).copy('web.9', 'local-a-9');
    await bench.beginAgain();
    await bench.write();
    await bench.answers(POOL, ['10.0.0.2', '10.0.0.9']);
    t.same(bench.events('dns-foreign'), []);
  },
);

t.test('a record of somebody else’s: told once, left alone, and in nobody’s way; gone, it is taken', async (t) => {
  const bench = await new DnsBench().begin(t);
  bench.theirs(POOL, ['203.0.113.9']);
  await bench.runs('web', 1);
  await bench.runs('other', 1);
  await bench.settled();
  t.same(bench.at(POOL), ['203.0.113.9']);
  t.same(bench.at('0.local-a.web.test'), ['10.0.0.1']);
  t.same(bench.at('local-a.other.test'), ['10.0.0.1']);
  for (let n = 0; n < 2; n++) await bench.publisher.check();
  t.match(bench.events('dns-foreign'), [/^local-a\.web\.test is somebody else's \(203\.0\.113\.9\) and is left alone/]);
  t.match(bench.attention, [/is somebody else's \(203\.0\.113\.9\)/]);
  t.match(
    bench.publisher.view().names.find(({ name }) => name === POOL),
    { state: 'foreign', owner: 'somebody else' },
  );
  bench.zones.get('test')?.delete(`${POOL}/A`);
  await bench.publisher.check();
  await bench.answers(POOL, ['10.0.0.1']);
  await bench.settled();
  t.same(bench.attention, []);
});

t.test('another cluster’s mark keeps a name, whatever it holds', async (t) => {
  const bench = await new DnsBench().begin(t);
  const marker = `_cerebro.${POOL}`;
  bench.zones.get('test')?.set(`${marker}/TXT`, {
    name: marker,
    type: 'TXT',
    ttl: 300,
    values: ['heritage=cerebro,cluster=another'],
  });
  await bench.runs('web', 1);
  await bench.settled();
  t.same(bench.at(POOL), []);
  t.match(bench.events('dns-foreign'), [/the mark beside it is not ours/]);
});

t.test('what somebody changed by hand is found by a check, told, and mended', async (t) => {
  const bench = await new DnsBench().begin(t);
  await bench.runs('web', 2);
  await bench.settled();
  bench.theirs(POOL, ['203.0.113.9']);
  bench.zones.get('test')?.delete('0.local-a.web.test/A');
  await bench.publisher.check();
  await bench.answers(POOL, ['10.0.0.1', '10.0.0.2']);
  await bench.answers('0.local-a.web.test', ['10.0.0.1']);
  t.equal(bench.events('dns-drift').length, 2);
  t.ok(bench.publisher.view().checkedAt);
});

t.test('one name that its provider does not take keeps no other out', async (t) => {
  const bench = await new DnsBench().begin(t);
  bench.provider.refuses.add('1.local-a.web.test');
  await bench.runs('web', 3);
  await bench.answers(POOL, ['10.0.0.1', '10.0.0.2', '10.0.0.3']);
  await bench.answers('2.local-a.web.test', ['10.0.0.3']);
  t.match(bench.attention, [/^1\.local-a\.web\.test is not as wanted yet: .* is not taken here/]);
});

t.test('a basename that cannot be listed holds up its own names, and no others of its zone', async (t) => {
  const bench = await new DnsBench().begin(t);
  bench.provider.unreadable.add('bad.test');
  bench.provider.loseAnswers = true;
  bench.provider.failNext = [AWAY];
  await bench.runs('bad', 1);
  await eventually(() => bench.events('dns-trouble').some((event) => event.includes('cannot be listed')), 'it is told');
  await bench.runs('web', 1);
  await bench.answers(POOL, ['10.0.0.1']);
  await bench.runs('web', 2);
  await bench.answers(POOL, ['10.0.0.1', '10.0.0.2']);
  t.match(bench.attention, [/bad\.test.*cannot be listed/], 'what waits is said, and nothing else');
  bench.provider.unreadable.clear();
  await bench.settled();
  t.same(bench.attention, []);
});

t.test('a removed job: pool and names go, and are told of no more when nobody can remember them', async (t) => {
  const bench = await new DnsBench().begin(t);
  await bench.runs('web', 2);
  await bench.settled();
  const job = bench.cluster.jobs.get('web');
  if (job) bench.cluster.jobs.set('web', { ...job, state: 'removing' });
  await bench.stops('web.1');
  await bench.stops('web.2');
  await eventually(() => bench.zones.get('test')?.size === 0, 'nothing is left in the zone, no mark either');
  await eventually(() => bench.publisher.view().names.length === 0, 'nor on the page');
  t.equal(bench.records.dns.size, 3, 'what comes late would be found');
  const sent = bench.provider.batches.at(-1)?.changes.map((change) => (change.kind === 'remove' ? change.name : ''));
  t.equal(sent?.[0], POOL, 'the pool goes first');
});

t.test('of several providers the one with the longest zone keeps a name', async (t) => {
  const bench = new DnsBench();
  const serving = (name: string, zone: string): FakeDnsProvider =>
    new FakeDnsProvider(new Map([[zone, new Map()]]), { name });
  bench.providers = [serving('anything', '.'), serving('short', 'test'), serving('long', 'web.test')];
  await bench.beginAgain();
  t.teardown(() => bench.end());
  await bench.runs('web', 1);
  await bench.runs('other', 1);
  await bench.runs('far', 1, { dns_basename: 'far.example' });
  await bench.settled();
  const places = Object.fromEntries(bench.publisher.view().names.map(({ name, provider }) => [name, provider]));
  t.equal(places[POOL], 'long');
  t.equal(places['local-a.other.test'], 'short');
  t.equal(places['local-a.far.example'], 'anything');
});

t.test(
  'while one provider does not say what it holds, no other gets its names; what has a place keeps it',
  async (t) => {
    const bench = new DnsBench();
    const zones: Zones = new Map([['.', new Map()]]);
    const anything = new FakeDnsProvider(zones, { name: 'anything' });
    bench.providers = [bench.provider, anything];
    await bench.beginAgain();
    t.teardown(() => bench.end());
    await bench.runs('web', 1);
    await bench.settled();
    bench.provider.down = AWAY;
    await bench.runs('late', 1);
    await bench.stops('web.1');
    await eventually(() => bench.attention.some((one) => one.includes('late')), 'it is said');
    t.match(bench.attention.join('\n'), /"late": its names wait: whether fake holds late\.test is not known: nobody/);
    t.equal(zones.get('.')?.size, 0);
    t.equal(bench.publisher.view().names.find(({ name }) => name === POOL)?.provider, 'fake');
  },
);

t.test('what a job file would do to names is said, also when providers do not answer', async (t) => {
  const bench = await new DnsBench().begin(t);
  bench.cluster.job('web', { 'local-a': 2 }, { spec: { dns_basename: 'web.test' } });
  bench.cluster.job('lost', { 'local-a': 2 }, { spec: { dns_basename: 'web.nowhere' } });
  const specs = [...bench.cluster.jobs.values()].map(({ spec }) => spec);
  t.match(await bench.publisher.forecast(specs), [
    /make the DNS name local-a\.web\.test/,
    /no DNS provider serves web\.nowhere/,
  ]);
  bench.provider.down = AWAY;
  bench.cluster.job('late', { 'local-a': 2 }, { spec: { dns_basename: 'late.test' } });
  const late = [...bench.cluster.jobs.values()].at(-1)?.spec;
  t.match(late && (await bench.publisher.forecast([late])), [/cannot say yet .*late\.test.*nobody answers/]);
});

t.test('a provider that is not loaded any more is said by name', async (t) => {
  const bench = await new DnsBench().begin(t);
  await bench.runs('web', 1);
  await bench.settled();
  bench.providers = [];
  await bench.beginAgain();
  const job = bench.cluster.jobs.get('web');
  if (job) bench.cluster.jobs.set('web', { ...job, state: 'removing' });
  await bench.stops('web.1');
  await eventually(() => bench.attention.length > 0, 'it is said');
  t.match(bench.attention.join('\n'), /the DNS provider "fake" is not loaded; list it in plugins\.json/);
});

t.test('a copy has its name before it runs, and whoever asks for it waits until it is decided', async (t) => {
  const bench = await new DnsBench().begin(t);
  await bench.runs('web', 2);
  await bench.runs('plain', 1, {});
  const nameOf = async (id: string): Promise<string | null> => {
    const copy = bench.records.copies.get(id);
    if (!copy) throw new Error(`no copy ${id}`);
    return bench.publisher.nameOf(copy);
  };
  t.equal(await nameOf('web.2'), '1.local-a.web.test');
  t.equal(await nameOf('plain.1'), null, 'of a job that asks for none there is none');
  await bench.runs('other', 1, { dns_basename: 'nobody.keeps.this' });
  t.equal(await nameOf('other.1'), null, 'nor where nobody keeps such names');
});
