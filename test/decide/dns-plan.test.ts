import t from 'tap';
import { changesFor, foldFound } from '../../core/decide/dns/dns-fold.ts';
import { planDns } from '../../core/decide/dns/dns-plan.ts';
import { dnsStateOf, isFree } from '../../core/model/dns.ts';
import { NOW } from './cluster-fixture.ts';
import { type DnsFixture, web } from './dns-fixture.ts';

t.test('names: the region is the zone without its letter, numbers are the lowest free ones', async (t) => {
  const dns = web({ 'aws-us-west-2a': 2, 'aws-us-west-2b': 1 });
  dns.running('web.1', 'aws-us-west-2a-1').running('web.2', 'aws-us-west-2a-2').running('web.3', 'aws-us-west-2b-1');
  dns.settle();
  t.same(dns.answers(), {
    'aws-us-west-2.web.test': ['10.0.0.1', '10.0.0.2', '10.0.0.3'],
    '0.aws-us-west-2.web.test': ['10.0.0.1'],
    '1.aws-us-west-2.web.test': ['10.0.0.2'],
    '2.aws-us-west-2.web.test': ['10.0.0.3'],
  });
  t.equal(planDns(dns.snapshot(), dns.records, dns.rules).changes.length, 0, 'then there is nothing to do');
});

t.test('with dns_scope zone the letter stays, and zones without one have none to lose', async (t) => {
  const dns = web({ 'aws-us-west-2a': 1, 'local-a': 1, 'ssh-rack1': 1 });
  dns.running('web.1', 'aws-us-west-2a-1').running('web.2', 'local-a-1').running('web.3', 'ssh-rack1-1');
  dns.rules = { ...dns.rules, scope: 'zone' };
  dns.settle();
  t.same(dns.pools(), ['aws-us-west-2a.web.test', 'local-a.web.test', 'ssh-rack1.web.test']);
  const regions = web({ 'local-a': 1, 'ssh-rack1': 1 }).running('web.1', 'local-a-1').running('web.2', 'ssh-rack1-1');
  regions.settle();
  t.same(regions.pools(), ['local-a.web.test', 'ssh-rack1.web.test']);
});

const judged: [string, (dns: DnsFixture) => void, string[]][] = [
  ['a ready copy', (dns) => dns.running('web.2', 'local-a-2'), ['10.0.0.1', '10.0.0.2']],
  ['one that starts', (dns) => dns.running('web.2', 'local-a-2', {}, { phase: 'starting' }), ['10.0.0.1']],
  ['one that is not well', (dns) => dns.running('web.2', 'local-a-2', {}, { health: sick }), ['10.0.0.1']],
  ['one that flaps', (dns) => dns.running('web.2', 'local-a-2', {}, { flapping: true }), ['10.0.0.1']],
  ['one that has ended', (dns) => dns.running('web.2', 'local-a-2', {}, { phase: 'exited' }), ['10.0.0.1']],
  ['one that its machine does not know', (dns) => dns.running('web.2', 'local-a-2', {}, null), ['10.0.0.1']],
  ['one that is to be stopped', (dns) => dns.running('web.2', 'local-a-2', { wanted: 'stop' }), ['10.0.0.1']],
  ['one that is to be rolled', (dns) => dns.running('web.2', 'local-a-2', { version: 2 }, {}, 1), ['10.0.0.1']],
  [
    'one on a machine that boots',
    (dns) => dns.running('web.2', 'local-a-2').setMachine('local-a-2', { state: 'booting' }),
    ['10.0.0.1'],
  ],
  [
    'one on a machine that is drained, until it is stopped',
    (dns) => dns.running('web.2', 'local-a-2').setMachine('local-a-2', { state: 'draining' }),
    ['10.0.0.1', '10.0.0.2'],
  ],
  [
    'one on a machine that is not heard any more',
    (dns) => dns.running('web.2', 'local-a-2').quiet('local-a-2', 11),
    ['10.0.0.1'],
  ],
  [
    'one on a machine that was just heard',
    (dns) => dns.running('web.2', 'local-a-2').quiet('local-a-2', 5),
    ['10.0.0.1', '10.0.0.2'],
  ],
];
const sick = { state: 'unhealthy' as const, sentence: 'it answers with 500' };

for (const [what, arrange, pool] of judged) {
  t.test(`the pool and ${what}`, async (t) => {
    const dns = web({ 'local-a': 2 }).running('web.1', 'local-a-1');
    arrange(dns);
    dns.settle();
    t.same(dns.answers()['local-a.web.test'], pool);
  });
}

t.test('a machine whose address is a host name or IPv6 gives no names, and the others have theirs', async (t) => {
  const dns = web({ 'local-a': 3 });
  for (const n of [1, 2, 3]) dns.running(`web.${n}`, `local-a-${n}`);
  dns.setMachine('local-a-1', { address: 'host.startup.com' }).setMachine('local-a-2', { address: '2001:db8::1' });
  dns.settle();
  t.same(dns.answers(), { 'local-a.web.test': ['10.0.0.3'], '0.local-a.web.test': ['10.0.0.3'] });
});

t.test(
  'what was stopped by people has no names until it is started; what runs by turns has them while it runs',
  async (t) => {
    const dns = web({ 'local-a': 1 }).running('web.1', 'local-a-1');
    dns.settle();
    dns.stopJob(true).setCopy('web.1', { wanted: 'stop' });
    dns.settle();
    t.same(dns.answers(), {});
    const turns = web({ 'local-a': 1 });
    turns.byTurns();
    turns.running('web.1', 'local-a-1', { run: 1 });
    turns.settle();
    t.same(turns.pools(), ['local-a.web.test']);
    turns.forget('web.1');
    turns.settle();
    t.same(turns.answers(), {});
  },
);

t.test('a copy has its own name as soon as its machine has an address, before it is in the pool', async (t) => {
  const dns = web({ 'local-a': 1 }).running('web.1', 'local-a-1', {}, { phase: 'starting' });
  dns.settle();
  t.same(dns.answers(), { '0.local-a.web.test': ['10.0.0.1'] });
});

t.test('never to nothing by itself: the last answer stays until there is another', async (t) => {
  const dns = web({ 'local-a': 2 }).running('web.1', 'local-a-1').running('web.2', 'local-a-2');
  dns.settle();
  dns.task('web.1', { phase: 'backoff' });
  dns.settle();
  t.same(dns.answers()['local-a.web.test'], ['10.0.0.2']);
  dns.task('web.2', { phase: 'backoff' });
  dns.settle();
  t.same(dns.answers()['local-a.web.test'], ['10.0.0.2']);
  dns.task('web.1', { phase: 'running' });
  dns.settle();
  t.same(dns.answers()['local-a.web.test'], ['10.0.0.1']);
});

t.test('dns_allow_empty lets it', async (t) => {
  const dns = web({ 'local-a': 1 }).running('web.1', 'local-a-1');
  dns.rules = { ...dns.rules, allowEmpty: true };
  dns.settle();
  dns.task('web.1', { phase: 'backoff' });
  dns.settle();
  t.equal(dns.answers()['local-a.web.test'], undefined);
});

t.test('people may empty it: a removed job, another layout, another basename', async (t) => {
  for (const change of [{ state: 'removing' as const }, { layout: {} }, { basename: undefined }]) {
    const dns = web({ 'local-a': 1 }).running('web.1', 'local-a-1');
    dns.settle();
    dns.changeJob(change);
    if (!('basename' in change)) dns.setCopy('web.1', { wanted: 'stop' });
    dns.settle();
    t.same(dns.answers(), {}, JSON.stringify(change));
  }
});

t.test('another basename: new names beside the old ones, which go', async (t) => {
  const dns = web({ 'local-a': 1 }).running('web.1', 'local-a-1');
  dns.settle();
  dns.changeJob({ basename: 'www.test' });
  dns.settle();
  t.same(Object.keys(dns.answers()).sort(), ['0.local-a.www.test', 'local-a.www.test']);
});

t.test('many silent at once look like the line: what was, stays', async (t) => {
  const dns = web({ 'local-a': 3 });
  for (const n of [1, 2, 3]) dns.running(`web.${n}`, `local-a-${n}`);
  dns.settle();
  dns.quiet('local-a-1', 20).quiet('local-a-2', 20);
  dns.settle();
  t.same(dns.answers()['local-a.web.test'], ['10.0.0.1', '10.0.0.2', '10.0.0.3']);
  dns.heard('local-a-1');
  dns.settle();
  t.same(dns.answers()['local-a.web.test'], ['10.0.0.1', '10.0.0.3'], 'one is believed to be gone');
});

t.test('a cluster sitter that has just begun leaves alone what it has not heard of yet', async (t) => {
  const dns = web({ 'local-a': 2 }).running('web.1', 'local-a-1').running('web.2', 'local-a-2');
  dns.settle();
  dns.begins();
  dns.settle();
  t.same(dns.answers()['local-a.web.test'], ['10.0.0.1', '10.0.0.2']);
});

t.test('a number is kept while the copy stays, and given again when nobody can remember it', async (t) => {
  const dns = web({ 'local-a': 3 });
  for (const n of [1, 2, 3]) dns.running(`web.${n}`, `local-a-${n}`);
  dns.settle();
  dns.forget('web.1');
  dns.settle();
  t.same(dns.answers()['2.local-a.web.test'], ['10.0.0.3']);
  t.equal(dns.answers()['0.local-a.web.test'], undefined);
  dns.running('web.4', 'local-a-4');
  dns.settle();
  t.same(dns.answers()['3.local-a.web.test'], ['10.0.0.4'], 'the old address of 0 may still be remembered');
  dns.now += 31_000;
  dns.settle();
  dns.running('web.5', 'local-a-5');
  dns.settle();
  t.same(dns.answers()['0.local-a.web.test'], ['10.0.0.5']);
});

t.test('two copies on one machine have a name each, and one address in the pool', async (t) => {
  const dns = web({ 'local-a': 2 }).running('web.1', 'local-a-1').running('web.2', 'local-a-1');
  dns.settle();
  t.same(dns.answers(), {
    'local-a.web.test': ['10.0.0.1'],
    '0.local-a.web.test': ['10.0.0.1'],
    '1.local-a.web.test': ['10.0.0.1'],
  });
});

t.test('a pool holds what the provider can, the oldest copies first', async (t) => {
  const dns = web({ 'local-a': 4 });
  for (const n of [1, 2, 3, 4]) dns.running(`web.${n}`, `local-a-${n}`);
  dns.maxValues = 3;
  dns.settle();
  t.same(dns.answers()['local-a.web.test'], ['10.0.0.1', '10.0.0.2', '10.0.0.3']);
  t.match(dns.record('local-a.web.test')?.reason, /4 addresses .*one name can hold 3/);
});

t.test('a foreign record at a number: the copy gets the next one, and that number is left alone', async (t) => {
  const dns = web({ 'local-a': 1 }).running('web.1', 'local-a-1');
  dns.theirs('0.local-a.web.test', ['203.0.113.9']);
  dns.settle();
  t.same(dns.answers(), {
    '0.local-a.web.test': ['203.0.113.9'],
    '1.local-a.web.test': ['10.0.0.1'],
    'local-a.web.test': ['10.0.0.1'],
  });
  const theirs = dns.record('0.local-a.web.test');
  t.equal(theirs && dnsStateOf(theirs), 'foreign');
});

t.test('a job that nobody serves gets no records, until somebody does', async (t) => {
  const dns = web({ 'local-a': 1 }).running('web.1', 'local-a-1');
  dns.served = false;
  dns.settle();
  t.equal(dns.records.size, 0);
  dns.served = true;
  dns.settle();
  t.equal(dns.records.size, 2);
});

t.test('every change has its reason', async (t) => {
  const dns = web({ 'local-a': 1 }).running('web.1', 'local-a-1');
  const made = planDns(dns.snapshot(), dns.records, dns.rules).changes.map(({ reason }) => reason);
  t.same(made.sort(), ['one address of "web" ready', 'web.1 is on local-a-1']);
  dns.settle();
  dns.forget('web.1').changeJob({ state: 'removing' });
  const gone = planDns(dns.snapshot(), dns.records, dns.rules).changes;
  t.ok(gone.every(({ reason }) => reason === '"web" is being removed'));
  t.equal(gone.length, 2);
  t.equal(dns.snapshot().now, NOW);
});

t.test('a name that went is looked after for a while: what comes late is taken out again', async (t) => {
  const dns = web({ 'local-a': 1 }).running('web.1', 'local-a-1');
  dns.settle();
  dns.forget('web.1').changeJob({ state: 'removing' });
  dns.settle();
  dns.now += 60_000;
  dns.settle();
  const late = dns.record('local-a.web.test');
  t.ok(late && isFree(late, dns.now), 'nothing stands there, and nobody remembers');
  if (!late) return;
  const found = { values: ['10.0.0.1'], ttl: 30, marker: 'ours' as const };
  const folded = foldFound(late, found, dns.now);
  t.equal(folded.news, 'drift');
  t.match(changesFor(folded.record, null), [{ kind: 'remove', name: 'local-a.web.test', was: ['10.0.0.1'] }]);
  dns.now += 600_000;
  dns.settle();
  t.equal(dns.records.size, 0, 'after ten minutes it is forgotten');
});

t.test('what was sent without an answer is looked after too, although nothing was found', async (t) => {
  const dns = web({ 'local-a': 1 }).running('web.1', 'local-a-1');
  dns.settle('is away');
  dns.forget('web.1').changeJob({ state: 'removing' });
  const sent = dns.record('0.local-a.web.test');
  if (!sent) throw new Error('it was sent');
  const unclear = { ...sent, values: [] };
  const looked = foldFound(unclear, { values: null, ttl: null, marker: null }, dns.now).record;
  t.same(planDns(dns.snapshot(), new Map([['0.local-a.web.test/A', looked]]), dns.rules).changes, []);
});

t.test('a name of ours that is not found is looked after too: what was shown may be an old list', async (t) => {
  const dns = web({ 'local-a': 1 }).running('web.1', 'local-a-1');
  dns.settle();
  dns.forget('web.1').changeJob({ state: 'removing' });
  const there = dns.record('0.local-a.web.test');
  if (!there) throw new Error('it was sent');
  const old = { ...there, values: [] };
  const looked = foldFound(old, { values: null, ttl: null, marker: null }, dns.now).record;
  dns.now += 120_000; // nobody remembers it
  t.same(planDns(dns.snapshot(), new Map([['0.local-a.web.test/A', looked]]), dns.rules).changes, []);
});

t.test('a follower has the last answer of its pool for as long as its leader is wanted there', async (t) => {
  const dns = web({ 'local-a': 0 });
  const job = dns.cluster.job('main', { 'local-a': 1 }).jobs.get('web');
  dns.running('web.1', 'local-a-1').running('main.1', 'local-a-1');
  if (job) dns.cluster.jobs.set('web', { ...job, spec: { ...job.spec, deployment_layout: {}, linked_job: 'main' } });
  dns.settle();
  t.same(dns.answers()['local-a.web.test'], ['10.0.0.1']);
  dns.forget('web.1').forget('main.1').setMachine('local-a-1', { state: 'lost' });
  dns.settle();
  t.same(dns.answers()['local-a.web.test'], ['10.0.0.1'], 'both are on their way to another machine');
  dns.cluster.jobIs('main', { stopped: true });
  dns.settle();
  t.equal(dns.answers()['local-a.web.test'], undefined, 'people stopped the leader');
});

t.test('what is left of a run that is over has no name', async (t) => {
  const dns = web({ 'local-a': 1 });
  dns.byTurns();
  dns.running('web.1', 'local-a-1', { run: 1 });
  dns.settle();
  t.equal(Object.keys(dns.answers()).length, 2);
  dns.setCopy('web.1', { outcome: 'completed' });
  dns.settle();
  t.same(dns.answers(), {});
});
