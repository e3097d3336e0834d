import t from 'tap';
import { dueEffects } from '../../core/decide/plan/due-effects.ts';
import { type DnsFixture, web } from './dns-fixture.ts';

function two(): DnsFixture {
  const dns = web({ 'local-a': 2 }).running('web.1', 'local-a-1').running('web.2', 'local-a-2');
  dns.settle();
  return dns;
}

t.test('a copy that is to end is held while its pool leads to it, and until its TTL has passed', async (t) => {
  const dns = two();
  t.same(dns.holds(), []);
  dns.setCopy('web.1', { wanted: 'stop' });
  t.same(dns.holds(), ['web.1'], 'from the moment that it is to end');
  dns.now += 2000;
  dns.settle();
  t.same(dns.answers()['local-a.web.test'], ['10.0.0.2']);
  t.equal(dns.holdUntil('web.1'), dns.now + 30_000, 'from the answer of its server on');
  dns.now += 29_999;
  t.same(dns.holds(), ['web.1']);
  dns.now += 1;
  t.same(dns.holds(), []);
});

t.test('a copy that is to be rolled is held the same way, and its own name stays', async (t) => {
  const dns = two();
  dns.setCopy('web.1', { version: 2 });
  t.same(dns.holds(), ['web.1']);
  dns.settle();
  t.same(dns.answers()['0.local-a.web.test'], ['10.0.0.1']);
  dns.now += 30_000;
  t.same(dns.holds(), []);
});

t.test('the last that answers is rolled at once: nobody else could answer for it', async (t) => {
  const dns = web({ 'local-a': 1 }).running('web.1', 'local-a-1');
  dns.settle();
  dns.setCopy('web.1', { version: 2 });
  dns.settle();
  t.same(dns.holds(), []);
  t.same(dns.answers()['local-a.web.test'], ['10.0.0.1']);
});

t.test('the last that answers does not end before another does, for a while', async (t) => {
  const dns = web({ 'local-a': 1 }).running('web.1', 'local-a-1');
  dns.settle();
  dns.setCopy('web.1', { wanted: 'stop' }).running('web.2', 'local-a-2', {}, { phase: 'starting' });
  dns.settle();
  t.same(dns.answers()['local-a.web.test'], ['10.0.0.1']);
  t.same(dns.holds(), ['web.1']);
  dns.task('web.2', { phase: 'running' });
  dns.settle();
  t.same(dns.answers()['local-a.web.test'], ['10.0.0.2']);
  dns.now += 30_000;
  t.same(dns.holds(), []);
});

t.test('the last of a job that may not run twice waits for no other: there is none before it has ended', async (t) => {
  const dns = web({ 'local-a': 1 }).running('web.1', 'local-a-1');
  dns.single();
  dns.settle();
  dns.setCopy('web.1', { wanted: 'stop' });
  dns.settle();
  dns.now += 30_000;
  t.same(dns.holds(), []);
});

t.test('a restart that was asked for is held like an update, and over when its machine was told', async (t) => {
  const dns = two();
  dns.setCopy('web.1', { generation: 1 });
  dns.settle();
  t.same(dns.answers()['local-a.web.test'], ['10.0.0.2']);
  t.same(dns.holds(), ['web.1']);
  dns.setCopy('web.1', { taskGeneration: 1 });
  dns.settle();
  t.same(dns.answers()['local-a.web.test'], ['10.0.0.2'], 'not before its machine reports that one');
  dns.task('web.1', { generation: 1 });
  dns.settle();
  t.same(dns.answers()['local-a.web.test'], ['10.0.0.1', '10.0.0.2']);
});

t.test('no longer than the TTL and the patience, whatever its provider does', async (t) => {
  const dns = two();
  dns.setCopy('web.1', { wanted: 'stop' });
  dns.now += 59_999;
  t.same(dns.holds(), ['web.1'], 'nothing was sent');
  dns.now += 1;
  t.same(dns.holds(), []);
});

t.test('what was never in DNS is not held: a copy that did not start, a job without names', async (t) => {
  const dns = web({ 'local-a': 2 }).running('web.1', 'local-a-1');
  dns.settle();
  dns.running('web.2', 'local-a-2', { wanted: 'stop', taskVersion: null }, null);
  t.same(dns.holds(), []);
  const plain = web({ 'local-a': 1 }).running('web.1', 'local-a-1');
  plain.changeJob({ basename: undefined });
  plain.settle();
  plain.setCopy('web.1', { wanted: 'stop' });
  t.same(plain.holds(), []);
});

t.test('one that was removed by an answer that was lost waits all the same', async (t) => {
  const dns = two();
  dns.setCopy('web.1', { wanted: 'stop' });
  const pool = dns.record('local-a.web.test');
  if (!pool) throw new Error('there is a pool');
  // Sent, carried out, and never heard of again.
  dns.records.set('local-a.web.test/A', { ...pool, values: ['10.0.0.2'], attempted: ['10.0.0.2'] });
  dns.theirs('local-a.web.test', ['10.0.0.2']);
  dns.settle();
  t.equal(dns.record('local-a.web.test')?.attempted, null);
  t.same(dns.holds(), ['web.1']);
  dns.now += 30_000;
  t.same(dns.holds(), []);
});

t.test('two copies at one address: the one that goes waits for its own name, not for the pool', async (t) => {
  const dns = web({ 'local-a': 2 }).running('web.1', 'local-a-1').running('web.2', 'local-a-1');
  dns.settle();
  dns.setCopy('web.1', { version: 2 });
  t.same(dns.holds(), []);
});

t.test('while it is held nothing is done to its process, and it is known when to ask again', async (t) => {
  const dns = two();
  dns.setCopy('web.1', { wanted: 'stop' }).setCopy('web.2', { version: 2 });
  const held = { ...dns.snapshot(), dnsHolds: new Map([['web.1', dns.now + 1000]]) };
  const { effects, wakeAt } = dueEffects(held);
  t.same(
    effects.map(({ kind, key }) => `${kind} ${key}`),
    ['deploy-copy web.2'],
  );
  t.equal(wakeAt, dns.now + 1000);
  const after = dueEffects({ ...held, now: dns.now + 1000 });
  t.same(after.effects.map(({ kind, key }) => `${kind} ${key}`).sort(), ['deploy-copy web.2', 'remove-task web.1']);
});

t.test('a job with a new basename: a copy waits for every name that it has or had', async (t) => {
  for (const basename of ['a.test', 'z.test']) {
    // At one address, so that its pool does not hold it.
    const dns = web({ 'local-a': 2 }).running('web.1', 'local-a-1').running('web.2', 'local-a-1');
    dns.settle();
    dns.changeJob({ basename });
    dns.settle();
    dns.now += 40_000;
    dns.heard('local-a-1');
    // As they are read from a store.
    const kept = [...dns.records].sort(([a], [b]) => (a < b ? -1 : 1));
    dns.records.clear();
    for (const [key, record] of kept) dns.records.set(key, record);
    dns.setCopy('web.1', { wanted: 'stop' });
    dns.settle();
    t.equal(dns.holdUntil('web.1'), dns.now + 30_000, basename);
    dns.now += 30_000;
    dns.heard('local-a-1');
    t.same(dns.holds(), []);
  }
});

t.test('a job with a new basename: the pool of before may lead to a copy still', async (t) => {
  const dns = two();
  const pool = dns.record('local-a.web.test');
  if (!pool) throw new Error('there is a pool');
  dns.changeJob({ basename: 'new.test' });
  dns.settle();
  dns.now += 40_000;
  dns.heard('local-a-1').heard('local-a-2');
  dns.setCopy('web.1', { version: 2 });
  dns.settle();
  dns.now += 30_000;
  t.same(dns.holds(), [], 'the old pool is forgotten by everybody');
  dns.setCopy('web.1', {});
  dns.records.set('local-a.web.test/A', { ...pool, values: [] });
  t.same(dns.holds(), ['web.1'], 'the old pool stands there still');
  dns.running('web.3', 'local-a-1');
  t.same(dns.holds(), [], 'another copy serves whoever comes by it');
});
