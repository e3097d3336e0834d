import t, { type Test } from 'tap';
import type { ClusterSitter } from '../../core/cluster/cluster-sitter.ts';
import { LeasedStore, SharedLead } from '../fakes/leased-store.ts';
import { smallClusterSitter } from '../fakes/small-cluster-sitter.ts';
import { StubbornProvider } from '../fakes/stubborn-provider.ts';
import { eventually } from '../suites/eventually.ts';

const job = (name: string): string => `
task_configuration: {name: ${name}, command: sleep 1, cpu: .5}
deployment_layout: {fake-a: {count: 1}}
`;
const options = { source: 'test.yaml', dryRun: false, by: 'a test' };

interface Side {
  sitter: ClusterSitter;
  store: LeasedStore;
  provider: StubbornProvider;
}

function sideOf(t: Test, shared: SharedLead): Side {
  const store = new LeasedStore(shared);
  const provider = new StubbornProvider();
  const sitter = smallClusterSitter({ store, providers: [provider] });
  t.teardown(() => sitter.stop());
  return { sitter, store, provider };
}

async function leader(t: Test): Promise<Side> {
  const side = sideOf(t, new SharedLead());
  await side.sitter.start();
  return side;
}

const names = ({ sitter }: Side): string[] => sitter.api.jobs().map(({ name }) => name);
const leads = ({ sitter }: Side): boolean => !sitter.api.status().attention.some((line) => /does not lead/.test(line));

t.test('the second one stands by, shows what is, takes over, and gives it back', async (t) => {
  const shared = new SharedLead();
  const [first, second] = [sideOf(t, shared), sideOf(t, shared)];
  await first.sitter.start();
  await second.sitter.start();
  await first.sitter.api.apply(job('one'), options);
  await eventually(() => names(second).length === 1, 'the stand-by hears of the job');
  t.ok(leads(first));
  t.notOk(leads(second));
  await t.rejects(second.sitter.api.apply(job('two'), options), { code: 'unavailable', message: /does not lead/ });
  await eventually(() => first.provider.orders.length === 1, 'the machine is ordered');
  t.same(second.provider.orders, [], 'by the leader alone');
  const epoch = first.sitter.api.status().epoch;

  first.store.takeAway();
  await eventually(() => leads(second), 'the second one takes over');
  await eventually(() => !leads(first), 'the first one knows');
  t.ok(second.sitter.api.status().epoch > epoch);
  await second.sitter.api.apply(job('two'), options);
  await t.rejects(first.sitter.api.removeJob('one', 'a test'), { code: 'unavailable' });
  await eventually(() => names(first).length === 2, 'the first one still shows what is');

  const taken = second.sitter.api.status().epoch;
  await second.sitter.stop();
  await eventually(() => leads(first), 'the lead comes back');
  t.ok(first.sitter.api.status().epoch > taken);
  await first.sitter.api.apply(job('three'), options);
  t.same(names(first).sort(), ['one', 'three', 'two']);
});

t.test('who has lost the lead does not speak of what it could not write', async (t) => {
  const shared = new SharedLead();
  const [first, second] = [sideOf(t, shared), sideOf(t, shared)];
  await first.sitter.start();
  await second.sitter.start();
  const stuck = (): boolean =>
    first.sitter.api.status().attention.some((line) => /nothing can be changed now/.test(line));
  first.store.away = true;
  await t.rejects(first.sitter.api.apply(job('one'), options), { code: 'unavailable' });
  await eventually(stuck, 'while it leads it says so');
  first.store.takeAway();
  await eventually(() => leads(second), 'the second one takes over');
  first.store.away = false;
  await eventually(() => !leads(first) && !stuck(), 'the first one stands by, and nothing is the matter');
  await second.sitter.api.apply(job('one'), options);
  t.notOk(stuck());
});

t.test('a store that is away: pages go on, nothing is changed, and it recovers by itself', async (t) => {
  const side = await leader(t);
  const { sitter, store, provider } = side;
  await sitter.api.apply(job('one'), options);
  await eventually(() => provider.orders.length === 1, 'the machine is ordered');
  const { epoch } = sitter.api.status();
  store.away = true;
  store.takeAway();
  await t.rejects(sitter.api.apply(job('two'), options), { code: 'unavailable' });
  t.same(names(side), ['one']);
  t.notOk(leads(side));
  store.away = false;
  await eventually(() => leads(side), 'it leads again');
  await eventually(() => sitter.api.status().epoch > epoch, 'with a new epoch');
  await sitter.api.apply(job('two'), options);
  t.same(names(side).sort(), ['one', 'two']);
  await eventually(() => sitter.api.machines().length === 1 && sitter.api.copies().length === 2, 'and plans again');
});

t.test('nothing is bought or ended on a lease that is nearly over', async (t) => {
  const { sitter, store, provider } = await leader(t);
  store.remainingMs = 4000;
  await sitter.api.apply(job('one'), options);
  await eventually(() => sitter.api.machines()[0]?.reason.includes('too short'), 'the page says why it waits');
  t.same(provider.orders, []);
  store.remainingMs = 10_000;
  await eventually(() => provider.orders.length === 1, 'then it is ordered');
});

t.test('one that slept through the end of its lease does nothing on what it knew', async (t) => {
  const shared = new SharedLead();
  const side = sideOf(t, shared);
  await side.sitter.start();
  await side.sitter.api.apply(job('one'), options);
  await eventually(() => side.sitter.api.machines()[0]?.state === 'booting', 'the machine is ordered');
  const orders = side.provider.orders.length;
  const other = new LeasedStore(shared);
  side.store.takeAway();
  const lease = await other.lead('another', AbortSignal.timeout(10_000));
  // No timer has come round yet, as after SIGCONT.
  await t.rejects(side.sitter.api.apply(job('two'), options), { code: 'unavailable' });
  await t.rejects(side.sitter.api.providerAction('fake-a-1', 'crash', 'a test'), { code: 'unavailable' });
  await other.commit({ write: [{ delete: 'job/one' }] });
  await eventually(() => names(side).length === 0, 'it hears of what the other one does');
  t.equal(side.provider.orders.length, orders);
  await lease.release();
});

t.test('a watch that was compacted: the records are read anew, and work goes on', async (t) => {
  const side = await leader(t);
  const { sitter, store } = side;
  await sitter.api.apply(job('one'), options);
  const { epoch } = sitter.api.status();
  store.compact();
  await eventually(
    () =>
      sitter.api.apply(job('two'), options).then(
        () => true,
        () => false,
      ),
    'changes are taken again',
  );
  t.same(names(side).sort(), ['one', 'two']);
  t.equal(sitter.api.status().epoch, epoch, 'the lead was never lost');
  await eventually(() => sitter.api.copies().length === 2, 'and plans are made');
  const events = await sitter.api.events({ since: 0 });
  t.same(
    events.map(({ seq }) => seq),
    events.map((_, i) => i + 1),
    'no event twice',
  );
});
