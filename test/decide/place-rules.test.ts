import t from 'tap';
import { planSentences } from '../../core/cluster/orders/plan-sentences.ts';
import { planCluster } from '../../core/decide/plan/plan-cluster.ts';
import { type MachineType, sizeKey } from '../../core/model/plan.ts';
import { ClusterFixture, NOW } from './cluster-fixture.ts';

const plan = (fixture: ClusterFixture, types?: MachineType[]): string[] =>
  planSentences(planCluster({ ...fixture.snapshot(), ...(types && { types: () => types }) }));
const small = (n: number): string => `order machine local-a-${n} (small: 2 cores, 2048 MB)`;
const half = { task: { cpu: 0.5 } };

t.test('spread hard: never two on one machine, whatever room there is', async (t) => {
  const spec = { place: { spread: 'hard' } };
  t.same(plan(new ClusterFixture().job('web', { 'local-a': 2 }, { ...half, spec })), [
    `${small(1)}: 1 copy of "web" had no room in local-a`,
    'start web.1 on local-a-1: "web" wants 2 in local-a',
    `${small(2)}: 1 copy of "web" had no room in local-a`,
    'start web.2 on local-a-2: "web" wants 2 in local-a',
  ]);
});

t.test('instance_types: only such machines, there or to be had', async (t) => {
  const spec = { place: { instance_types: ['large'] } };
  const fixture = new ClusterFixture().job('web', { 'local-a': 1 }, { ...half, spec }).machine('local-a-1');
  t.same(plan(fixture), [
    'order machine local-a-2 (large: 8 cores, 16384 MB): 1 copy of "web" had no room in local-a',
    'start web.1 on local-a-2: "web" wants 1 in local-a',
  ]);
  const other = new ClusterFixture().job(
    'web',
    { 'local-a': 1 },
    { ...half, spec: { place: { instance_types: ['huge'] } } },
  );
  t.same(plan(other), [
    'cannot: "web" wants machines that are huge; local-a has small, large; its copies wait until such a machine can be had',
  ]);
});

t.test('labels: machines that bear them, and who asks for none leaves them to others', async (t) => {
  const ssd: MachineType = { name: 'small', cpu: 2, mem: 2048, labels: { disk: 'ssd' } };
  const plain: MachineType = { name: 'small', cpu: 2, mem: 2048 };
  const wants = (machine: object): ClusterFixture =>
    new ClusterFixture().job('web', { 'local-a': 1 }, { ...half, spec: { place: { machine } } });
  const ordered = (fixture: ClusterFixture) =>
    planCluster({ ...fixture.snapshot(), types: () => [ssd, plain] }).actions.find(
      ({ kind }) => kind === 'order-machine',
    );
  t.match(ordered(wants({ disk: 'ssd' })), { type: { labels: { disk: 'ssd' } } });
  t.same(ordered(wants({})), { ...ordered(wants({})), type: plain });
  const there = wants({ disk: 'ssd' })
    .machine('local-a-1')
    .machine('local-a-2', { labels: { disk: 'ssd' } });
  t.same(plan(there), ['start web.1 on local-a-2: "web" wants 1 in local-a']);
  t.same(plan(wants({ disk: 'nvme' }), [ssd, plain]), [
    'cannot: "web" wants machines that are disk=nvme; local-a has small, small; its copies wait until such a machine can be had',
  ]);
});

t.test("a copy that was to stop is nobody's predecessor", async (t) => {
  const scaled = new ClusterFixture()
    .job('web', { 'local-a': 2 }, half)
    .machine('local-a-1', { state: 'lost' })
    .machine('local-a-2')
    .copy('web.1', 'local-a-1', { wanted: 'stop' })
    .copy('web.2', 'local-a-1')
    .copy('web.3', 'local-a-2');
  t.match(
    plan(scaled).filter((line) => line.startsWith('start')),
    [/^start web\.4 on local-a-\d: .* in place of web\.2 /],
  );
});

t.test('a size that is sold out: its order is withdrawn for another, or waited for', async (t) => {
  const sold = new ClusterFixture()
    .job('web', { 'local-a': 1 }, half)
    .machine('local-a-1', { state: 'requested', ref: null, lastError: 'none left' })
    .copy('web.1', 'local-a-1', { taskVersion: null, recipeVersion: null }, null);
  sold.soldOut.set(sizeKey('local-a', { name: 'small' }), NOW + 60_000);
  t.same(plan(sold), [
    'machine local-a-1 becomes terminating: local-a has no small just now',
    'forget web.1: its machine local-a-1 is gone',
    'order machine local-a-2 (large: 8 cores, 16384 MB): 1 copy of "web" had no room in local-a',
    'start web.2 on local-a-2: "web" wants 1 in local-a, in place of web.1 (its machine local-a-1 is gone)',
  ]);
  const all = new ClusterFixture().job('web', { 'local-a': 1 }, half);
  for (const name of ['small', 'large']) all.soldOut.set(sizeKey('local-a', { name }), NOW + 60_000);
  t.same(plan(all), [
    'cannot: a copy of "web" waits for small, large, of which local-a has none just now; it is asked for again every few minutes',
  ]);
  t.equal(planCluster(all.snapshot()).wakeAt, NOW + 60_000);
});

t.test('max_machines and spend_ceiling: what they leave is ordered, and the rest is told', async (t) => {
  const wanted = (): ClusterFixture => new ClusterFixture().job('web', { 'local-a': 3 }, { task: { cpu: 2 } });
  const few = wanted();
  few.limits = { ...few.limits, maxMachines: () => 2 };
  t.match(
    plan(few).at(-1),
    /^cannot: 1 copy waits for a machine in local-a, which has 2 and may have 2 \(max_machines\): room there, or a higher limit, is waited for$/,
  );
  const poor = wanted().machine('local-a-1', { price: 0.5 });
  poor.limits = { ...poor.limits, maxSpend: () => 1 };
  const types = [{ name: 'small', cpu: 2, mem: 2048, price: 0.5 }];
  const told = plan(poor, types);
  t.equal(told.filter((sentence) => sentence.startsWith('order machine')).length, 1);
  t.match(told.at(-1), /would cost 1\.5 an hour, and may cost 1 \(spend_ceiling\)/);
});

t.test('drained with a deadline: when it is over, copies are stopped although none elsewhere is ready', async (t) => {
  const draining = (until: number): ClusterFixture =>
    new ClusterFixture()
      .job('web', { 'local-a': 1 }, { task: { cpu: 2 } })
      .machine('local-a-1', { state: 'draining', cordoned: true, drainUntil: until })
      .machine('local-a-2', { state: 'booting', createdAt: NOW })
      .silent('local-a-2', 0)
      .copy('web.1', 'local-a-1')
      .copy('web.2', 'local-a-2', { taskVersion: null, recipeVersion: null }, null);
  t.same(plan(draining(NOW + 1000)), []);
  t.same(plan(draining(NOW)), ['stop web.1: local-a-1 is being drained, and its time is up']);
});

t.test('a machine whose replacement is ready, or that the provider warns of, is drained', async (t) => {
  const replaced = new ClusterFixture().machine('local-a-1').machine('local-a-2', { replaces: 'local-a-1' });
  t.same(plan(replaced), ['machine local-a-1 becomes draining: local-a-2 is there to replace it']);
  const ill = new ClusterFixture().machine('local-a-1', { stateSince: NOW - 5000 });
  const warned = (askedAt: number): string[] => {
    const contacts = new Map(ill.snapshot().contacts);
    const contact = contacts.get('local-a-1');
    const trouble = { sentence: 'it is taken back at noon (spot)', askedAt };
    if (contact) contacts.set('local-a-1', { ...contact, trouble });
    return planSentences(planCluster({ ...ill.snapshot(), contacts }));
  };
  t.same(warned(NOW - 1000), ['machine local-a-1 becomes draining: it is taken back at noon (spot)']);
  t.same(warned(NOW - 6000), [], 'not for what was said of it before it was ready');
});

t.test('the brake holds while a cut heals: those that are back first do not condemn the rest', async (t) => {
  const fixture = new ClusterFixture().job('web', { 'local-a': 4 }, { task: { cpu: 2 } });
  for (const n of [1, 2, 3, 4]) fixture.machine(`local-a-${n}`).copy(`web.${n}`, `local-a-${n}`);
  fixture.silent('local-a-4', 60);
  t.match(plan(fixture), ['machine local-a-4 becomes lost: not heard for 60 s'], 'alone it is given up');
  const contacts = new Map(fixture.snapshot().contacts);
  for (const id of ['local-a-1', 'local-a-2', 'local-a-3']) {
    const contact = contacts.get(id);
    if (contact) contacts.set(id, { ...contact, backSince: NOW - 1000 });
  }
  t.match(planSentences(planCluster({ ...fixture.snapshot(), contacts })), [
    /^cannot: local-a-4 is not replaced: 4 of 4 machines of local-a are or were silent/,
  ]);
});

t.test('a machine that was got late has its time from then on', async (t) => {
  const late = (seconds: number): ClusterFixture =>
    new ClusterFixture()
      .machine('local-a-1', { state: 'booting', createdAt: NOW - 900_000, stateSince: NOW - seconds * 1000 })
      .silent('local-a-1', 900);
  t.same(plan(late(10)), []);
  t.same(plan(late(300)), ['machine local-a-1 becomes lost: not ready 300 s after it was had']);
});

t.test(
  'a machine whose replacement does not come may have copies again, and that is said; a cordon of its own stays',
  async (t) => {
    const old = { cordoned: true, cordonedFor: 'local-a-2' };
    const booting = {
      state: 'booting' as const,
      replaces: 'local-a-1',
      createdAt: NOW - 400_000,
      stateSince: NOW - 400_000,
    };
    const fixture = (successor: object): ClusterFixture =>
      new ClusterFixture()
        .machine('local-a-1', old)
        .machine('local-a-2', { ...booting, ...successor })
        .silent('local-a-2', 400);
    const uncordoned =
      /^machine local-a-1 may have copies again: it is not replaced after all.*cerebro replace local-a-1/;
    t.match(plan(fixture({})), [/^machine local-a-2 becomes lost/, uncordoned]);
    t.match(plan(fixture({ state: 'lost' })), [uncordoned]);
    t.match(plan(new ClusterFixture().machine('local-a-1', old)), [uncordoned], 'also when it is gone already');
    t.same(plan(fixture({ createdAt: NOW, stateSince: NOW })), [], 'while it is on its way, nothing');
    t.match(plan(fixture({ createdAt: NOW, stateSince: NOW }).provider('local-a-2', 'gone')), [
      /local-a-2 becomes lost/,
      uncordoned,
    ]);
    const byHand = new ClusterFixture()
      .machine('local-a-1', { cordoned: true })
      .machine('local-a-2', { ...booting, state: 'lost' });
    t.same(plan(byHand), []);
  },
);

t.test("a person's replacement is waited for, whatever its provider says at first", async (t) => {
  const fixture = new ClusterFixture()
    .machine('local-a-1', { cordoned: true })
    .machine('local-a-2', { state: 'requested', ref: null, replaces: 'local-a-1', lastError: 'try later' })
    .silent('local-a-2', 0);
  t.same(plan(fixture), []);
});

t.test('a copy that is not wanted any more does not wait for a machine that never came up', async (t) => {
  for (const state of ['requested', 'booting'] as const) {
    const fixture = new ClusterFixture()
      .job('web', { 'local-a': 1 }, half)
      .machine('local-a-1', { state, ref: null, endpoint: null, lastError: 'nobody answers' })
      .silent('local-a-1', 0)
      .copy('web.1', 'local-a-1', { taskVersion: null, recipeVersion: null, wanted: 'stop', reason: 'removed' }, null)
      .jobIs('web', { state: 'removing' });
    t.same(plan(fixture).slice(0, 2), [
      'forget web.1: removed, before it was begun',
      'forget job "web": all its copies have ended',
    ]);
  }
  const begun = new ClusterFixture()
    .job('web', { 'local-a': 1 }, half)
    .machine('local-a-1')
    .copy('web.1', 'local-a-1', { taskVersion: null, recipeVersion: null, wanted: 'stop', reason: 'removed' }, null)
    .jobIs('web', { state: 'removing' });
  t.same(plan(begun), [], 'an order to a machine that serves may have come through');
});
