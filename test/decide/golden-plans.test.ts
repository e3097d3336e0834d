import t from 'tap';
import { planSentences } from '../../core/cluster/orders/plan-sentences.ts';
import { surplusVersions } from '../../core/cluster/records/kept-versions.ts';
import { dueEffects } from '../../core/decide/plan/due-effects.ts';
import { planCluster } from '../../core/decide/plan/plan-cluster.ts';
import type { MachineType } from '../../core/model/plan.ts';
import type { TaskStatus } from '../../core/model/task.ts';
import { ClusterFixture, NOW } from './cluster-fixture.ts';

/** Rules that have no plan of their own in the tests beside this one, each with the smallest cluster that shows it: what is there, and what is done. */
const golden = (rule: string, fixture: ClusterFixture, sentences: string[], types?: readonly MachineType[]): void => {
  t.test(rule, async (t) => {
    const snapshot = { ...fixture.snapshot(), ...(types && { types: () => types }) };
    t.same(planSentences(planCluster(snapshot)), sentences);
  });
};

/** What is done in the world for the records as they are. */
const effects = (rule: string, fixture: ClusterFixture, expected: string[]): void => {
  t.test(rule, async (t) => {
    const found = dueEffects(fixture.snapshot()).effects;
    t.same(
      found.map(({ kind, key }) => `${kind} ${key}`),
      expected,
    );
  });
};

const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString();
const cluster = (): ClusterFixture => new ClusterFixture();
const unbegun = { taskVersion: null, recipeVersion: null };

/* Placement. */

golden(
  'new machines are those that cost least for what is pending, not those that are fewest',
  cluster().job('web', { 'local-a': 3 }),
  [
    'order machine local-a-1 (small: 2 cores, 2048 MB, 0.1 an hour): 2 copies of "web" had no room in local-a',
    'start web.1 on local-a-1: "web" wants 3 in local-a',
    'start web.2 on local-a-1: "web" wants 3 in local-a',
    'order machine local-a-2 (small: 2 cores, 2048 MB, 0.1 an hour): 1 copy of "web" had no room in local-a',
    'start web.3 on local-a-2: "web" wants 3 in local-a',
  ],
  [
    { name: 'small', cpu: 2, mem: 2048, price: 0.1 },
    { name: 'large', cpu: 8, mem: 16_384, price: 0.5 },
  ],
);

golden(
  'what is linked needs room together: a machine is ordered that holds both',
  cluster()
    .job('web', { 'local-a': 1 })
    .job('log', {}, { task: { cpu: 2 }, spec: { linked_job: 'web' } }),
  [
    'order machine local-a-1 (large: 8 cores, 16384 MB): 1 copy of "web" had no room in local-a',
    'start web.1 on local-a-1: "web" wants 1 in local-a',
    'start log.1 on local-a-1: follows "web" on local-a-1',
  ],
);

golden(
  'the room of a machine that is on its way is room, and that of one that is being emptied is none',
  cluster()
    .job('web', { 'local-a': 3 })
    .machine('local-a-1', { state: 'draining', cordoned: true, cpu: 8 })
    .machine('local-a-2', { state: 'booting', endpoint: null, createdAt: NOW - 1000, stateSince: NOW - 1000 })
    .copy('web.1', 'local-a-2', unbegun, null)
    .machine('local-a-3', { cordoned: true }),
  [
    'start web.2 on local-a-2: "web" wants 3 in local-a',
    'order machine local-a-4 (small: 2 cores, 2048 MB): 1 copy of "web" had no room in local-a',
    'start web.3 on local-a-4: "web" wants 3 in local-a',
    'machine local-a-1 becomes terminating: a test wants it; it is empty now',
  ],
);

/* Machine life. */

golden(
  'a machine that cannot be reached keeps what it has until it is given up',
  cluster()
    .job('web', { 'local-a': 2 })
    .machine('local-a-1')
    .machine('local-a-2')
    .copy('web.1', 'local-a-1')
    .copy('web.2', 'local-a-2')
    .silent('local-a-1', 29),
  [],
);

golden(
  'what is cordoned keeps what it has, and gets nothing new',
  cluster().job('web', { 'local-a': 2 }).machine('local-a-1', { cordoned: true }).copy('web.1', 'local-a-1'),
  [
    'order machine local-a-2 (small: 2 cores, 2048 MB): 1 copy of "web" had no room in local-a',
    'start web.2 on local-a-2: "web" wants 2 in local-a',
  ],
);

golden(
  'a drain that was called off leaves everything where it is',
  cluster()
    .job('web', { 'local-a': 1 })
    .machine('local-a-1', { state: 'ready', cordoned: false })
    .machine('local-a-2')
    .copy('web.1', 'local-a-1')
    .copy('web.2', 'local-a-2', { ...unbegun, createdAt: NOW - 1000 }, null),
  ['stop web.2: "web" wants only 1 in local-a'],
);

effects(
  'a machine that comes back is told what is no longer its own, and what it has forgotten',
  cluster()
    .job('web', { 'local-a': 3 })
    .machine('local-a-1')
    .machine('local-a-2')
    .copy('web.1', 'local-a-1')
    .copy('web.2', 'local-a-1', {}, null)
    .copy('web.3', 'local-a-2')
    .reports('local-a-1', 'web.3'),
  ['deploy-copy web.2', 'remove-task web.3'],
);

effects(
  'a lost machine is ended at its provider for as long as it takes, and its copies are nobody’s to end there',
  cluster()
    .job('web', { 'local-a': 1 })
    .machine('local-a-1', { state: 'lost', attempts: 9 })
    .copy('web.1', 'local-a-1', { wanted: 'stop' }),
  ['destroy-machine local-a-1'],
);

/* Changes. */

const rolled = (
  versions: number[],
  spec: object = {},
  tasks: Record<number, Partial<TaskStatus>> = {},
): ClusterFixture => {
  const fixture = cluster()
    .job('web', { 'local-a': versions.length }, { version: 3, spec: { update: { min_healthy: 10, ...spec } } })
    .machine('local-a-1', { cpu: 8 });
  for (const [i, version] of versions.entries())
    fixture.copy(`web.${i + 1}`, 'local-a-1', { version, changedAt: NOW - 1000 }, tasks[i + 1]);
  return fixture.rolling('web', 60);
};

golden('as many copies are down by our hand as max_parallel says', rolled([1, 1, 1], { max_parallel: 2 }), [
  'restart web.1 with version 3: "web" goes from version 1 to 3',
  'restart web.2 with version 3: "web" goes from version 1 to 3',
]);

golden(
  'a copy that is not found well holds up the next, though its process runs',
  rolled([3, 1], {}, { 1: { health: { state: 'starting', failures: 0, sentence: 'no answer yet' } as never } }),
  [],
);

golden(
  'a newer version takes the place of one that is under way: nobody is given the older one any more',
  rolled([1, 2, 3]),
  ['restart web.1 with version 3: "web" goes from version 1 to 3'],
);

golden('after a crash in the middle the rest is done, and what was done is not done again', rolled([3, 3, 1]), [
  'restart web.3 with version 3: "web" goes from version 1 to 3',
]);

golden(
  'what is as it should be is not restarted, whatever else of its job was changed',
  rolled([3, 3], { deadline: 7 }),
  ['version 3 of "web" is rolled out: all 2 copies run it, and well'],
);

t.test('ten versions are kept, and beside them those that copies run with and the one to go back to', async (t) => {
  const fixture = cluster()
    .job('web', { 'local-a': 1 }, { version: 20 })
    .jobIs('web', { goodVersion: 3 })
    .machine('local-a-1')
    .copy('web.1', 'local-a-1', { version: 5 });
  const versions = new Map(
    Array.from({ length: 20 }, (_, n) => [`version/web/${n + 1}`, { job: 'web', version: n + 1 } as never]),
  );
  const { jobs, copies } = fixture;
  t.same(
    surplusVersions({ jobs, copies, versions }, 'web', 20),
    [1, 2, 4, 6, 7, 8, 9, 10].map((version) => `version/web/${version}`),
  );
});

/* Linked jobs. */

const chain = (): ClusterFixture =>
  cluster()
    .job('db', { 'local-a': 1 })
    .job('web', {}, { task: { cpu: 0.5 }, spec: { linked_job: 'db' } })
    .job('log', {}, { task: { cpu: 0.25 }, spec: { linked_job: 'web' } })
    .machine('local-a-1');

golden('a chain is placed from its end, each beside the one before', chain(), [
  'start db.1 on local-a-1: "db" wants 1 in local-a',
  'start web.1 on local-a-1: follows "db" on local-a-1',
  'start log.1 on local-a-1: follows "web" on local-a-1',
]);

golden(
  'what leads a chain is removed: all that follows goes with it',
  chain()
    .jobIs('db', { state: 'removing' })
    .copy('db.1', 'local-a-1')
    .copy('web.1', 'local-a-1')
    .copy('log.1', 'local-a-1'),
  ['stop db.1: "db" is being removed', 'stop web.1: "web" is being removed', 'stop log.1: "log" is being removed'],
);

effects(
  'a chain is started link by link',
  chain()
    .copy('db.1', 'local-a-1', {}, { since: ago(5) })
    .copy('web.1', 'local-a-1', unbegun, null)
    .copy('log.1', 'local-a-1', unbegun, null),
  ['deploy-copy web.1'],
);

golden(
  'link_restart none: an update of the leader is nothing to its follower',
  cluster()
    .job('db', { 'local-a': 1 }, { version: 2 })
    .job('web', {}, { task: { cpu: 0.5 }, spec: { linked_job: 'db', link_restart: 'none' } })
    .machine('local-a-1')
    .copy('db.1', 'local-a-1')
    .copy('web.1', 'local-a-1', { linked: { db: 1 } }),
  [],
);

/* Idle machines, and jobs that run by turns. */

t.test('idle machines are counted by zone, and -1 keeps them all', async (t) => {
  const idle = (keep: (zone: string) => number): string[] => {
    const fixture = cluster()
      .machine('local-a-1')
      .machine('local-b-1')
      .machine('local-b-2', { createdAt: NOW - 1000 });
    fixture.limits = { ...fixture.limits, maxIdle: keep };
    return planSentences(planCluster(fixture.snapshot()));
  };
  t.same(
    idle(() => -1),
    [],
  );
  t.same(
    idle((zone) => (zone === 'local-a' ? 0 : 1)),
    [
      'machine local-a-1 becomes terminating: idle, and local-a keeps at most 0 idle',
      'machine local-b-2 becomes terminating: idle, and local-b keeps at most 1 idle',
    ],
  );
});

golden(
  'a run that somebody asks for is given its copies as a scheduled one is',
  cluster()
    .job('report', { 'local-a': 1 }, { task: { allow_exit: true } })
    .jobIs('report', {
      runs: [
        { id: 4, due: null, by: 'ann', version: 1, state: 'running', startedAt: NOW, endedAt: null, sentence: '' },
      ],
    })
    .machine('local-a-1'),
  ['start report.1 on local-a-1: run 4 of "report" wants 1 in local-a'],
);
