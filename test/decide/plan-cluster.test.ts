import t from 'tap';
import { planSentences } from '../../core/cluster/orders/plan-sentences.ts';
import { planCluster } from '../../core/decide/plan/plan-cluster.ts';
import { ClusterFixture, NOW } from './cluster-fixture.ts';

/** The plan in words: short enough to be read whole, and every word of it counts. */
const plan = (fixture: ClusterFixture): string[] => planSentences(planCluster(fixture.snapshot()));
const golden = (name: string, fixture: ClusterFixture, sentences: string[]): void => {
  t.test(name, async (t) => {
    t.same(plan(fixture), sentences);
  });
};

golden('nothing wanted, nothing there: nothing to do', new ClusterFixture(), []);

golden(
  'everything as wanted: nothing to do',
  new ClusterFixture()
    .job('web', { 'local-a': 2 })
    .machine('local-a-1')
    .copy('web.1', 'local-a-1')
    .copy('web.2', 'local-a-1'),
  [],
);

golden('the first job orders the smallest machines that hold it', new ClusterFixture().job('web', { 'local-a': 3 }), [
  'order machine local-a-1 (small: 2 cores, 2048 MB): 2 copies of "web" had no room in local-a',
  'start web.1 on local-a-1: "web" wants 3 in local-a',
  'start web.2 on local-a-1: "web" wants 3 in local-a',
  'order machine local-a-2 (small: 2 cores, 2048 MB): 1 copy of "web" had no room in local-a',
  'start web.3 on local-a-2: "web" wants 3 in local-a',
]);

golden(
  'of the sizes on sale the one is ordered that is used best for its price',
  new ClusterFixture().job('web', { 'local-a': 8 }, { mem: 2000 }),
  [
    'order machine local-a-1 (large: 8 cores, 16384 MB): 8 copies of "web" had no room in local-a',
    ...[1, 2, 3, 4, 5, 6, 7, 8].map((n) => `start web.${n} on local-a-1: "web" wants 8 in local-a`),
  ],
);

golden(
  'copies spread over machines where there is room',
  new ClusterFixture()
    .job('web', { 'local-a': 2 }, { task: { cpu: 0.5 } })
    .machine('local-a-1')
    .machine('local-a-2'),
  ['start web.1 on local-a-1: "web" wants 2 in local-a', 'start web.2 on local-a-2: "web" wants 2 in local-a'],
);

golden(
  'without spread the tightest place is taken',
  new ClusterFixture()
    .job('web', { 'local-a': 2 }, { task: { cpu: 0.5 }, spec: { place: { spread: 'none' } } })
    .machine('local-a-1')
    .machine('local-a-2'),
  ['start web.1 on local-a-1: "web" wants 2 in local-a', 'start web.2 on local-a-1: "web" wants 2 in local-a'],
);

golden(
  'a copy that is larger than what is left gets another machine, and memory counts as cores do',
  new ClusterFixture()
    .job('web', { 'local-a': 1 }, { mem: 2000 })
    .job('db', { 'local-a': 1 })
    .machine('local-a-1')
    .copy('db.1', 'local-a-1'),
  [
    'order machine local-a-2 (small: 2 cores, 2048 MB): 1 copy of "web" had no room in local-a',
    'start web.1 on local-a-2: "web" wants 1 in local-a',
  ],
);

golden(
  'what no machine type holds is said, and nothing is ordered',
  new ClusterFixture().job('web', { 'local-a': 1 }, { task: { cpu: 9 } }),
  [
    'cannot: a copy of "web" needs 9 cores and 100 MB; no machine type of local-a is that large: small (2 cores, 2048 MB), large (8 cores, 16384 MB); it waits until the job asks for less, or the zone sells a larger one',
  ],
);

golden(
  'fewer copies: those that are not ready go first, then the youngest',
  new ClusterFixture()
    .job('web', { 'local-a': 1 })
    .machine('local-a-1', { cpu: 8 })
    .copy('web.1', 'local-a-1')
    .copy('web.2', 'local-a-1', { createdAt: NOW - 1000 })
    .copy('web.3', 'local-a-1', {}, { phase: 'backoff' }),
  ['stop web.3: "web" wants only 1 in local-a', 'stop web.2: "web" wants only 1 in local-a'],
);

golden(
  'a zone that left the layout is emptied',
  new ClusterFixture()
    .job('web', { 'local-a': 1 })
    .machine('local-a-1')
    .machine('local-b-1')
    .copy('web.1', 'local-a-1')
    .copy('web.2', 'local-b-1'),
  ['stop web.2: "web" has left zone local-b'],
);

golden(
  'a new version goes to one copy after another, those that fail first',
  new ClusterFixture()
    .job('web', { 'local-a': 3 }, { version: 2 })
    .machine('local-a-1', { cpu: 8 })
    .copy('web.1', 'local-a-1', { version: 1 })
    .copy('web.2', 'local-a-1', { version: 1 }, { phase: 'backoff' })
    .copy('web.3', 'local-a-1', { version: 1 }),
  ['restart web.2 with version 2: "web" goes from version 1 to 2'],
);

golden(
  'the next copy waits until the one before has been ready for min_healthy',
  new ClusterFixture()
    .job('web', { 'local-a': 2 }, { version: 2 })
    .machine('local-a-1')
    .copy('web.1', 'local-a-1', {}, { since: new Date(NOW - 9000).toISOString() })
    .copy('web.2', 'local-a-1', { version: 1 }),
  [],
);

t.test('… and the plan says when to look again', async (t) => {
  const fixture = new ClusterFixture()
    .job('web', { 'local-a': 2 }, { version: 2 })
    .machine('local-a-1')
    .copy('web.1', 'local-a-1', {}, { since: new Date(NOW - 9000).toISOString() })
    .copy('web.2', 'local-a-1', { version: 1 });
  t.equal(planCluster(fixture.snapshot()).wakeAt, NOW + 1000);
  fixture.now = NOW + 1000;
  fixture.heard('local-a-1', NOW + 1000);
  t.same(plan(fixture), ['restart web.2 with version 2: "web" goes from version 1 to 2']);
});

golden(
  'what is on its way to a version goes on to the next one, before others are taken down, also where nobody was heard yet',
  new ClusterFixture()
    .job('web', { 'local-a': 2 }, { version: 3 })
    .rolling('web', 1)
    .machine('local-a-1')
    .copy('web.1', 'local-a-1', { version: 2 }, null)
    .copy('web.2', 'local-a-1', { version: 2, taskVersion: 1 }, null),
  ['restart web.2 with version 3: "web" goes from version 2 to 3'],
);

golden(
  'the provider says that a machine is gone: it is lost at once and replaced by one like it',
  new ClusterFixture()
    .job('web', { 'local-a': 1 })
    .machine('local-a-1', { type: 'large', cpu: 8, mem: 16_384 })
    .copy('web.1', 'local-a-1')
    .provider('local-a-1', 'gone'),
  [
    'machine local-a-1 becomes lost: the provider says that it is gone',
    'forget web.1: its machine local-a-1 is gone',
    'order machine local-a-2 (large: 8 cores, 16384 MB): replaces local-a-1, which is lost',
    'start web.2 on local-a-2: "web" wants 1 in local-a, in place of web.1 (its machine local-a-1 is gone)',
  ],
);

golden(
  'where another machine has room, nothing is ordered for a lost one',
  new ClusterFixture()
    .job('web', { 'local-a': 1 })
    .machine('local-a-1')
    .machine('local-a-2')
    .copy('web.1', 'local-a-1')
    .provider('local-a-1', 'stopped'),
  [
    'machine local-a-1 becomes lost: the provider says that it is stopped',
    'forget web.1: its machine local-a-1 is gone',
    'start web.2 on local-a-2: "web" wants 1 in local-a, in place of web.1 (its machine local-a-1 is gone)',
  ],
);

golden(
  'one of three machines silent for lost_after is lost',
  new ClusterFixture().machine('local-a-1').machine('local-a-2').machine('local-a-3').silent('local-a-1', 31),
  ['machine local-a-1 becomes lost: not heard for 31 s'],
);

golden(
  'the brake: two of three silent at once look like the network, and nothing is replaced',
  new ClusterFixture()
    .machine('local-a-1')
    .machine('local-a-2')
    .machine('local-a-3')
    .silent('local-a-1', 31)
    .silent('local-a-2', 31),
  [
    'cannot: local-a-1 is not replaced: 2 of 3 machines of local-a are or were silent at once, which looks like the network and not like machines; it is waited for. If it is dead: cerebro replace local-a-1',
    'cannot: local-a-2 is not replaced: 2 of 3 machines of local-a are or were silent at once, which looks like the network and not like machines; it is waited for. If it is dead: cerebro replace local-a-2',
  ],
);

golden(
  'the brake: does not hold a machine that a person has replaced',
  new ClusterFixture()
    .machine('local-a-1', { state: 'draining', cordoned: true })
    .machine('local-a-2')
    .machine('local-a-3')
    .machine('local-a-4', { replaces: 'local-a-1' })
    .silent('local-a-1', 31)
    .silent('local-a-2', 31)
    .silent('local-a-3', 31),
  [
    'machine local-a-1 becomes lost: not heard for 31 s',
    'cannot: local-a-2 is not replaced: 3 of 4 machines of local-a are or were silent at once, which looks like the network and not like machines; it is waited for. If it is dead: cerebro replace local-a-2',
    'cannot: local-a-3 is not replaced: 3 of 4 machines of local-a are or were silent at once, which looks like the network and not like machines; it is waited for. If it is dead: cerebro replace local-a-3',
  ],
);

golden(
  'the brake: when every zone is silent, a replacement that is not heard replaces nobody',
  new ClusterFixture()
    .job('web', { 'local-a': 1 })
    .machine('local-a-1', { state: 'draining', cordoned: true })
    .machine('local-a-2', { replaces: 'local-a-1' })
    .machine('local-b-1')
    .copy('web.1', 'local-a-1')
    .copy('web.2', 'local-a-2')
    .silent('local-a-1', 31)
    .silent('local-a-2', 25)
    .silent('local-b-1', 25),
  [
    'stop web.1: moved away from local-a-1',
    'cannot: local-a-1 is not replaced: every zone is or was silent at once, which looks like the network and not like machines; it is waited for. If it is dead: cerebro replace local-a-1',
  ],
);

golden(
  'the brake: a cut that is felt at one machine a little before the other is still one cut',
  new ClusterFixture()
    .machine('local-a-1')
    .machine('local-a-2')
    .machine('local-a-3')
    .silent('local-a-1', 30.2)
    .silent('local-a-2', 29.6),
  [
    'cannot: local-a-1 is not replaced: 2 of 3 machines of local-a are or were silent at once, which looks like the network and not like machines; it is waited for. If it is dead: cerebro replace local-a-1',
  ],
);

golden(
  'the brake: when every zone is silent nothing is replaced',
  new ClusterFixture().machine('local-a-1').machine('local-b-1').silent('local-a-1', 31).silent('local-b-1', 31),
  [
    'cannot: local-a-1 is not replaced: every zone is or was silent at once, which looks like the network and not like machines; it is waited for. If it is dead: cerebro replace local-a-1',
    'cannot: local-b-1 is not replaced: every zone is or was silent at once, which looks like the network and not like machines; it is waited for. If it is dead: cerebro replace local-b-1',
  ],
);

t.test('a cluster sitter that has just started replaces nobody on silence', async (t) => {
  const fixture = new ClusterFixture()
    .machine('local-a-1')
    .machine('local-a-2')
    .machine('local-a-3')
    .silent('local-a-1', 3600);
  fixture.startedAt = NOW - 5000;
  fixture.limits = { ...fixture.limits, lostAfterMs: 1000 };
  t.same(plan(fixture), []);
  t.ok((planCluster(fixture.snapshot()).wakeAt ?? 0) > NOW);
});

golden(
  'a machine that is not ready by its deadline is given up',
  new ClusterFixture()
    .job('web', { 'local-a': 1 })
    .machine('local-a-1', { state: 'booting', endpoint: null, createdAt: NOW - 301_000 })
    .copy('web.1', 'local-a-1', { taskVersion: null }, null)
    .silent('local-a-1', 3600),
  [
    'machine local-a-1 becomes lost: not ready 300 s after it was had',
    'forget web.1: its machine local-a-1 is gone',
    'order machine local-a-2 (small: 2 cores, 2048 MB): replaces local-a-1, which is lost',
    'start web.2 on local-a-2: "web" wants 1 in local-a, in place of web.1 (its machine local-a-1 is gone)',
  ],
);

golden(
  'draining: a replacement first, and the old copy stays until it is ready',
  new ClusterFixture()
    .job('web', { 'local-a': 1 })
    .machine('local-a-1', { state: 'draining', cordoned: true })
    .machine('local-a-2')
    .copy('web.1', 'local-a-1')
    .copy('web.2', 'local-a-2', { taskVersion: null }, null),
  [],
);

golden(
  'draining: when the replacement is ready the old copy is stopped',
  new ClusterFixture()
    .job('web', { 'local-a': 1 })
    .machine('local-a-1', { state: 'draining', cordoned: true })
    .machine('local-a-2')
    .copy('web.1', 'local-a-1')
    .copy('web.2', 'local-a-2'),
  ['stop web.1: moved away from local-a-1'],
);

golden(
  'draining: of the copies that leave, those that serve stay the longest',
  new ClusterFixture()
    .job('web', { 'local-a': 2 })
    .machine('local-a-1', { state: 'draining', cordoned: true })
    .machine('local-a-2')
    .machine('local-a-3')
    .copy('web.1', 'local-a-1', {}, { phase: 'backoff' })
    .copy('web.2', 'local-a-1')
    .copy('web.3', 'local-a-2')
    .copy('web.4', 'local-a-3', {}, { phase: 'starting' }),
  ['stop web.1: moved away from local-a-1'],
);

golden(
  'draining: an empty machine is ended',
  new ClusterFixture().machine('local-a-1', { state: 'draining', cordoned: true, reason: 'drained by anna' }),
  ['machine local-a-1 becomes terminating: drained by anna; it is empty now'],
);

t.test('idle machines: the newest surplus is ended, after the grace', async (t) => {
  const fixture = new ClusterFixture()
    .machine('local-a-1')
    .machine('local-a-2', { createdAt: NOW - 60_000 })
    .machine('local-a-3');
  fixture.limits = { ...fixture.limits, maxIdle: () => 1 };
  fixture.emptySince.set('local-a-3', NOW - 20_000);
  t.same(plan(fixture), ['machine local-a-2 becomes terminating: idle, and local-a keeps at most 1 idle']);
  t.equal(planCluster(fixture.snapshot()).wakeAt, NOW + 3000);
  fixture.limits = { ...fixture.limits, maxIdle: () => -1 };
  t.same(plan(fixture), []);
});

t.test('a job that is being removed is stopped, and forgotten when nothing of it is left', async (t) => {
  const fixture = new ClusterFixture().job('web', { 'local-a': 1 }).machine('local-a-1').copy('web.1', 'local-a-1');
  const job = fixture.jobs.get('web');
  if (job) fixture.jobs.set('web', { ...job, state: 'removing' });
  t.same(plan(fixture), ['stop web.1: "web" is being removed']);
  fixture.copies.clear();
  t.same(plan(fixture), ['forget job "web": all its copies have ended']);
});

golden(
  'a linked job runs once on each machine of its leader, and its room is taken together with it',
  new ClusterFixture().job('web', { 'local-a': 2 }).job('log', {}, { task: { cpu: 0.5 }, spec: { linked_job: 'web' } }),
  [
    'order machine local-a-1 (small: 2 cores, 2048 MB): 1 copy of "web" had no room in local-a',
    'start web.1 on local-a-1: "web" wants 2 in local-a',
    'order machine local-a-2 (small: 2 cores, 2048 MB): 1 copy of "web" had no room in local-a',
    'start web.2 on local-a-2: "web" wants 2 in local-a',
    'start log.1 on local-a-1: follows "web" on local-a-1',
    'start log.2 on local-a-2: follows "web" on local-a-2',
  ],
);

golden(
  'a linked job leaves where its leader left, and goes when its leader is removed',
  new ClusterFixture()
    .job('web', { 'local-a': 1 })
    .job('log', {}, { task: { cpu: 0.5 }, spec: { linked_job: 'web' } })
    .machine('local-a-1')
    .machine('local-a-2')
    .copy('web.1', 'local-a-1')
    .copy('log.1', 'local-a-1')
    .copy('log.2', 'local-a-2'),
  ['stop log.2: "web", to which "log" is linked, does not run on local-a-2'],
);

t.test('the same snapshot gives the same plan', async (t) => {
  const fixture = new ClusterFixture()
    .job('web', { 'local-a': 5, 'local-b': 2 })
    .machine('local-a-1')
    .machine('local-b-1')
    .provider('local-b-1', 'gone');
  t.same(plan(fixture), plan(fixture));
});

golden(
  'fewer copies and a new version at once: what is stopped is not updated',
  new ClusterFixture()
    .job('web', { 'local-a': 1 }, { version: 2, spec: { update: { max_parallel: 3, min_healthy: 10 } } })
    .machine('local-a-1', { cpu: 8 })
    .copy('web.1', 'local-a-1', { version: 1 })
    .copy('web.2', 'local-a-1', { version: 1 })
    .copy('web.3', 'local-a-1', { version: 1 }),
  [
    'stop web.3: "web" wants only 1 in local-a',
    'stop web.2: "web" wants only 1 in local-a',
    'restart web.1 with version 2: "web" goes from version 1 to 2',
  ],
);

golden(
  'a version that needs more room moves no copy while another one is missing',
  new ClusterFixture()
    .job('web', { 'local-a': 4 }, { version: 2, task: { cpu: 2 } })
    .machine('local-a-1')
    .machine('local-a-2')
    .copy('web.1', 'local-a-1', { version: 1, cpu: 1, wanted: 'stop' })
    .copy('web.2', 'local-a-1', { version: 1, cpu: 1 })
    .copy('web.3', 'local-a-2', { version: 1, cpu: 1 })
    .copy('web.4', 'local-a-2', { version: 1, cpu: 1 }),
  [
    'order machine local-a-3 (small: 2 cores, 2048 MB): 1 copy of "web" had no room in local-a',
    'start web.5 on local-a-3: "web" wants 4 in local-a',
  ],
);

golden(
  'an order that cannot be met and that nobody waits for any more is given up',
  new ClusterFixture().machine('local-a-1', { state: 'requested', ref: null, endpoint: null, lastError: 'sold out' }),
  ['machine local-a-1 becomes terminating: it could not be had (sold out), and nobody waits for it any more'],
);

golden(
  'a copy that ends again and again is not ready: an update does not go on after it',
  new ClusterFixture()
    .job('web', { 'local-a': 2 }, { version: 2 })
    .machine('local-a-1')
    .copy('web.1', 'local-a-1', {}, { flapping: true })
    .copy('web.2', 'local-a-1', { version: 1 }),
  [],
);
