import t from 'tap';
import { planSentences } from '../../core/cluster/orders/plan-sentences.ts';
import { planCluster } from '../../core/decide/plan/plan-cluster.ts';
import { ClusterFixture } from './cluster-fixture.ts';

/** The plan in words: short enough to be read whole, and every word of it counts. */
const plan = (fixture: ClusterFixture): string[] => planSentences(planCluster(fixture.snapshot()));
const golden = (name: string, fixture: ClusterFixture, sentences: string[]): void => {
  t.test(name, async (t) => {
    t.same(plan(fixture), sentences);
  });
};

golden(
  'one that has to move, cannot, and is down takes the turn of the others',
  (() => {
    const fixture = new ClusterFixture()
      .job('db', { 'local-a': 2 })
      .job('web', { 'local-a': 2 }, { version: 3, task: { cpu: 1.5 } })
      .rolling('web', 1)
      .machine('local-a-1')
      .machine('local-a-2', { cpu: 4 })
      .copy('db.1', 'local-a-1')
      .copy('db.2', 'local-a-2', { cpu: 2 })
      .copy('web.1', 'local-a-2', { version: 1, cpu: 1 })
      .copy('web.2', 'local-a-1', { version: 2, taskVersion: 1, cpu: 0.5 });
    fixture.limits = { ...fixture.limits, maxMachines: () => 2 };
    return fixture;
  })(),
  [
    'cannot: 1 copy waits for a machine in local-a, which has 2 and may have 2 (max_machines): room there, or a higher limit, is waited for',
    'cannot: version 3 of "web" needs 1.5 cores and 100 MB, for which local-a-1 has no room; nor is there another place, so web.2 stays at version 2 until there is',
  ],
);

golden(
  'a version that needs more than its machine has left moves the copy',
  new ClusterFixture()
    .job('db', { 'local-a': 1 })
    .job('web', { 'local-a': 1 }, { version: 2, task: { cpu: 1.5 } })
    .machine('local-a-1')
    .copy('db.1', 'local-a-1')
    .copy('web.1', 'local-a-1', { version: 1, cpu: 0.5 }),
  [
    'order machine local-a-2 (small: 2 cores, 2048 MB): 1 copy of "web" had no room in local-a',
    'start web.2 on local-a-2: "web" goes from version 1 to 2, in place of web.1 (version 2 of "web" needs 1.5 cores and 100 MB, for which local-a-1 has no room)',
    'stop web.1: version 2 of "web" needs 1.5 cores and 100 MB, for which local-a-1 has no room',
  ],
);

/** `web` has outgrown the machine that it shares with `db`; the zone has two such machines. */
const outgrown = (most: number, parallel = 1): ClusterFixture => {
  const fixture = new ClusterFixture()
    .job('db', { 'local-a': 2 })
    .job('web', { 'local-a': 2 }, { version: 2, task: { cpu: 1.5 }, spec: { update: { max_parallel: parallel } } })
    .job('log', {}, { task: { cpu: 0.1 }, spec: { linked_job: 'web', link_restart: 'none' } });
  for (const n of [1, 2]) {
    const machine = `local-a-${n}`;
    fixture.machine(machine).copy(`db.${n}`, machine).copy(`web.${n}`, machine, { version: 1, cpu: 0.5 });
    fixture.copy(`log.${n}`, machine, { cpu: 0.1 });
  }
  fixture.limits = { ...fixture.limits, maxMachines: () => most };
  return fixture;
};

golden('one that has to move for its version, and has nowhere to go, stays as it is, and well', outgrown(2), [
  'cannot: 1 copy waits for a machine in local-a, which has 2 and may have 2 (max_machines): room there, or a higher limit, is waited for',
  'cannot: version 2 of "web" needs 1.5 cores and 100 MB, for which local-a-1 has no room; nor is there another place, so web.1 stays at version 1 until there is',
]);

golden('those that move keep to max_machines together', outgrown(3, 2), [
  'order machine local-a-3 (small: 2 cores, 2048 MB): 1 copy of "web" had no room in local-a',
  'start web.3 on local-a-3: "web" goes from version 1 to 2, in place of web.1 (version 2 of "web" needs 1.5 cores and 100 MB, for which local-a-1 has no room)',
  'stop web.1: version 2 of "web" needs 1.5 cores and 100 MB, for which local-a-1 has no room',
  'stop log.1: "web", to which "log" is linked, does not run on local-a-1',
  'start log.3 on local-a-3: follows "web" on local-a-3',
  'cannot: 1 copy waits for a machine in local-a, which has 3 and may have 3 (max_machines): room there, or a higher limit, is waited for',
  'cannot: version 2 of "web" needs 1.5 cores and 100 MB, for which local-a-2 has no room; nor is there another place, so web.2 stays at version 1 until there is',
]);

t.test('one that has nowhere to go is restarted as it is, where people ask for that', async (t) => {
  const fixture = outgrown(2).jobIs('web', { restarts: 1 });
  t.match(
    plan(fixture).filter((sentence) => !sentence.startsWith('cannot')),
    ['restart web.1: "web" is being restarted'],
  );
});

golden(
  'one that moves for its version takes what is linked to it along, and the others wait for their turn',
  outgrown(3),
  [
    'order machine local-a-3 (small: 2 cores, 2048 MB): 1 copy of "web" had no room in local-a',
    'start web.3 on local-a-3: "web" goes from version 1 to 2, in place of web.1 (version 2 of "web" needs 1.5 cores and 100 MB, for which local-a-1 has no room)',
    'stop web.1: version 2 of "web" needs 1.5 cores and 100 MB, for which local-a-1 has no room',
    'stop log.1: "web", to which "log" is linked, does not run on local-a-1',
    'start log.3 on local-a-3: follows "web" on local-a-3',
  ],
);

t.test('a lost machine is the model for its replacement alone, and not for what moves by the same plan', async (t) => {
  const fixture = outgrown(9)
    .job('big', { 'local-a': 1 }, { task: { cpu: 8 } })
    .machine('local-a-3', { type: 'large', cpu: 8, mem: 16_384 })
    .copy('big.1', 'local-a-3', { cpu: 8 })
    .provider('local-a-3', 'gone');
  t.same(
    plan(fixture).filter((sentence) => sentence.startsWith('order')),
    [
      'order machine local-a-4 (large: 8 cores, 16384 MB): replaces local-a-3, which is lost',
      'order machine local-a-5 (small: 2 cores, 2048 MB): 1 copy of "web" had no room in local-a',
    ],
  );
});

t.test('what a plan has ordered before counts against max_machines for what moves', async (t) => {
  const orders = (most: number): string[] =>
    plan(outgrown(most).job('late', { 'local-a': 1 }, { task: { cpu: 2 } })).filter((each) => each.startsWith('order'));
  t.same(orders(3), ['order machine local-a-3 (small: 2 cores, 2048 MB): 1 copy of "late" had no room in local-a']);
  t.equal(orders(4).length, 2);
});
