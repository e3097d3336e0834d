import t, { type Test } from 'tap';
import type { ClusterSitter } from '../../core/cluster/cluster-sitter.ts';
import { CerebroError } from '../../core/errors.ts';
import { MemoryStore } from '../fakes/memory-store.ts';
import { smallClusterSitter } from '../fakes/small-cluster-sitter.ts';
import { StubbornProvider } from '../fakes/stubborn-provider.ts';
import { eventually } from '../suites/eventually.ts';

const job = (name: string, more = ''): string => `
task_configuration: {name: ${name}, command: sleep 1, cpu: .5}
deployment_layout: {fake-a: {count: 2}}
${more}`;

function sitterOver(store: MemoryStore, provider: StubbornProvider): ClusterSitter {
  return smallClusterSitter({ store, providers: [provider] });
}

async function started(t: Test): Promise<{ sitter: ClusterSitter; store: MemoryStore; provider: StubbornProvider }> {
  const store = new MemoryStore();
  const provider = new StubbornProvider();
  const sitter = sitterOver(store, provider);
  await sitter.start();
  t.teardown(() => sitter.stop());
  return { sitter, store, provider };
}

const options = { source: 'test.yaml', dryRun: false, by: 'a test' };

t.test(
  'a store that is full: the change is refused, what was acknowledged stays, and later changes go through',
  async (t) => {
    const { sitter, store } = await started(t);
    await sitter.api.apply(job('one'), options);
    await eventually(() => sitter.api.machines().length === 1, 'its machine is ordered');
    await eventually(() => sitter.api.machines()[0]?.state === 'booting', 'nothing is being written any more');
    store.failNext = new CerebroError('no_space', 'the disk under the store is full');
    await t.rejects(sitter.api.apply(job('two'), options), { code: 'no_space' });
    t.same(
      sitter.api.jobs().map(({ name }) => name),
      ['one'],
    );
    await sitter.api.apply(job('two'), options);
    t.equal(sitter.api.jobs().length, 2);
  },
);

t.test('what cannot be stopped, or noted, keeps nothing else from being stopped, and is said', async (t) => {
  let stopped = 0;
  const well = (): StubbornProvider =>
    Object.assign(new StubbornProvider(), {
      name: 'well',
      suspend: async () => {
        stopped += 1;
      },
    });
  const stuck = Object.assign(new StubbornProvider(), {
    suspend: () => Promise.reject(new Error('its socket is gone')),
  });
  const partly = smallClusterSitter({ store: new MemoryStore(), providers: [stuck, well()] });
  await partly.start();
  t.teardown(() => partly.stop());
  await t.rejects(partly.suspend('a test'), {
    code: 'unavailable',
    message: /fake: its socket is gone; the daemon ends, and what is left runs on/,
  });
  t.equal(stopped, 1);

  const store = new MemoryStore();
  const full = sitterOver(store, well());
  await full.start();
  t.teardown(() => full.stop());
  store.failNext = new CerebroError('no_space', 'the disk under the store is full');
  await full.suspend('a test');
  t.equal(stopped, 2, 'who cannot write can stop all the same');
});

t.test('a dry run shows the plan and changes nothing', async (t) => {
  const { sitter, provider } = await started(t);
  const result = await sitter.api.apply(job('one'), { ...options, dryRun: true });
  t.same(result.changes, [{ job: 'one', change: 'created', version: 1, restarts: false }]);
  t.match(result.plan, [
    /^order machine fake-a-1 \(one: 1 cores, 1000 MB\)/,
    /^start one\.1 on fake-a-1/,
    /^start one\.2 on fake-a-1/,
  ]);
  t.same(sitter.api.jobs(), []);
  t.same(provider.orders, []);
});

t.test(
  'a provider that refuses: the reason stands on machine and copies, and the same order is tried again',
  async (t) => {
    const { sitter, provider } = await started(t);
    provider.refusal = 'sold out';
    await sitter.api.apply(job('one'), options);
    await eventually(
      () => sitter.api.copies().every(({ state }) => state === 'failing') && sitter.api.copies().length === 2,
      'the copies say that they fail',
    );
    t.match(sitter.api.copies()[0]?.reason, /waits for machine fake-a-1, which is requested: sold out/);
    t.match(sitter.api.machine('fake-a-1').reason, 'sold out');
    t.ok(sitter.api.status().attention.some((sentence) => sentence.includes('sold out')));
    await eventually(() => provider.orders.length >= 2, 'it is tried again');
    t.equal(
      new Set(provider.orders.map(({ intent }) => intent)).size,
      1,
      'with the same intent: one machine, however often it is asked for',
    );
    provider.refusal = null;
    await eventually(() => sitter.api.machine('fake-a-1').state === 'booting', 'it is delivered at last');
    t.equal(sitter.api.machines().length, 1);
  },
);

t.test('a job that is not persistent is forgotten when a cluster sitter starts afresh; the others stay', async (t) => {
  const store = new MemoryStore();
  const provider = new StubbornProvider();
  const first = sitterOver(store, provider);
  await first.start();
  await first.api.apply(`${job('lasting')}---${job('passing', 'persistent: false')}`, options);
  const { epoch, clusterId } = first.api.status();
  await first.stop();
  const second = sitterOver(store, provider);
  await second.start();
  t.teardown(() => second.stop());
  t.equal(second.api.job('lasting').state, 'active');
  t.equal(second.api.job('passing').state, 'removing');
  t.ok(second.api.status().epoch > epoch);
  t.equal(second.api.status().clusterId, clusterId);
});

t.test('what is not there is told with the nearest name', async (t) => {
  const { sitter } = await started(t);
  await sitter.api.apply(job('portal'), options);
  t.throws(() => sitter.api.job('prtal'), { code: 'not_found', message: /did you mean "portal"/ });
  await t.rejects(sitter.api.explain('portl'), { code: 'not_found', message: /did you mean "portal/ });
  await t.rejects(sitter.api.removeJob('nobody', 'a test'), { code: 'not_found' });
  await t.rejects(sitter.api.providerAction('fake-a-9', 'crash', 'a test'), { code: 'not_found' });
});

t.test('what is gone is explained by what the timeline still tells of it', async (t) => {
  const { sitter } = await started(t);
  await sitter.api.apply(job('one'), options);
  await sitter.api.removeJob('one', 'a test');
  await eventually(() => sitter.api.jobs().length === 0, 'it is gone');
  t.match(await sitter.api.explain('one'), { about: 'job one', sentences: [/^it is gone: "one" is gone/] });
});

t.test('every change says who asked for it', async (t) => {
  const { sitter } = await started(t);
  await sitter.api.apply(job('one'), { ...options, by: 'anna' });
  await sitter.api.setIdleLimit(0, null, 'bert');
  const events = await sitter.api.events({ since: 0 });
  t.ok(events.some(({ kind, by }) => kind === 'job-created' && by === 'anna'));
  t.ok(events.some(({ kind, by }) => kind === 'idle-limit' && by === 'bert'));
  t.same(
    events.map(({ seq }) => seq),
    events.map((_, i) => i + 1),
  );
});
