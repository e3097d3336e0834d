import t from 'tap';
import { planSentences } from '../../core/cluster/orders/plan-sentences.ts';
import { planCluster } from '../../core/decide/plan/plan-cluster.ts';
import type { TaskStatus } from '../../core/model/task.ts';
import { ClusterFixture, NOW } from './cluster-fixture.ts';

const plan = (fixture: ClusterFixture): string[] => planSentences(planCluster(fixture.snapshot()));
const golden = (name: string, fixture: ClusterFixture, sentences: string[]): void => {
  t.test(name, async (t) => {
    t.same(plan(fixture), sentences);
  });
};
const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString();
/** A task that cannot keep going. */
const flapping: Partial<TaskStatus> = { flapping: true, reason: 'exited with 1, again' };

/** Two copies on two machines; `web` is at version 2. */
const two = (spec: object = {}): ClusterFixture =>
  new ClusterFixture()
    .job('web', { 'local-a': 2 }, { version: 2, spec: { update: { min_healthy: 10, deadline: 60, ...spec } } })
    .machine('local-a-1')
    .machine('local-a-2');

golden(
  'a version that is everywhere, and has been well for min_healthy, is rolled out',
  two().rolling('web', 100).copy('web.1', 'local-a-1').copy('web.2', 'local-a-2'),
  ['version 2 of "web" is rolled out: all 2 copies run it, and well'],
);

golden(
  'it is not, while a copy has run for less than min_healthy',
  two()
    .rolling('web', 100)
    .copy('web.1', 'local-a-1')
    .copy('web.2', 'local-a-2', {}, { since: ago(5) }),
  [],
);

golden(
  'it is not, while a copy is missing: its machine is on its way',
  two()
    .rolling('web', 100)
    .copy('web.1', 'local-a-1')
    .machine('local-a-2', { state: 'booting', createdAt: NOW - 1000 })
    .silent('local-a-2', 0),
  ['start web.2 on local-a-2: "web" wants 2 in local-a'],
);

t.test('a job with names has its time to leave them beside its deadline', async (t) => {
  const late = (seconds: number, names: object): string[] => {
    const fixture = two()
      .rolling('web', 1000)
      .copy('web.1', 'local-a-1', { changedAt: NOW - seconds * 1000 }, flapping);
    fixture.copy('web.2', 'local-a-2', { version: 1 });
    const job = fixture.jobs.get('web');
    if (job) fixture.jobs.set('web', { ...job, spec: { ...job.spec, ...names } });
    return planSentences(planCluster({ ...fixture.snapshot(), dnsWaitMs: 60_000 }));
  };
  t.same(late(61, { dns_basename: 'web.test' }), []);
  t.match(late(61, {}), [/has failed/]);
  t.match(late(121, { dns_basename: 'web.test' }), [/has failed/]);
});

golden(
  'a copy that is not ready in time takes the version back to the last one that was well',
  two()
    .rolling('web', 100)
    .copy('web.1', 'local-a-1', { changedAt: NOW - 61_000 }, flapping)
    .copy('web.2', 'local-a-2', { version: 1 }),
  [
    'version 2 of "web" has failed, back to version 1: web.1 was not ready 60 s after it was given version 2: exited with 1, again',
  ],
);

golden(
  'without auto_revert it stands still',
  two({ auto_revert: false })
    .rolling('web', 100)
    .copy('web.1', 'local-a-1', { changedAt: NOW - 61_000 }, flapping)
    .copy('web.2', 'local-a-2', { version: 1 }),
  ['version 2 of "web" has failed: web.1 was not ready 60 s after it was given version 2: exited with 1, again'],
);

golden(
  'the way back from a failed version is not itself taken back',
  two()
    .rolling('web', 100, { revertOf: 3 })
    .copy('web.1', 'local-a-1', { changedAt: NOW - 61_000 }, flapping)
    .copy('web.2', 'local-a-2', { version: 1 }),
  ['version 2 of "web" has failed: web.1 was not ready 60 s after it was given version 2: exited with 1, again'],
);

golden(
  'a task that has given up is not waited for',
  two()
    .rolling('web', 10)
    .copy('web.1', 'local-a-1', { changedAt: NOW - 5000 }, { phase: 'failed', reason: 'exited with 2' })
    .copy('web.2', 'local-a-2', { version: 1 }),
  ['version 2 of "web" has failed, back to version 1: web.1: exited with 2'],
);

golden(
  'a copy that was well and has ended once has its time again',
  two()
    .rolling('web', 1000)
    .copy(
      'web.1',
      'local-a-1',
      { changedAt: NOW - 900_000 },
      {
        phase: 'backoff',
        lastEnd: {
          run: 1,
          reason: 'exit',
          sentence: 'exited with 1',
          code: 1,
          signal: null,
          startedAt: ago(800),
          endedAt: ago(2),
          enforcer: 'proc',
          memLimitBytes: null,
          peakMemBytes: 0,
          cpuSeconds: 0,
          throttledSeconds: 0,
          oomKills: 0,
          restarts: 0,
          lastLines: [],
        },
      },
    )
    .copy('web.2', 'local-a-2', { version: 1 }),
  [],
);

golden(
  'what waits for its machine is not judged, for it cannot be ready',
  two()
    .rolling('web', 1000)
    .copy('web.1', 'local-a-1')
    .machine('local-a-2', { state: 'booting', createdAt: NOW - 1000 })
    .silent('local-a-2', 0)
    .copy('web.2', 'local-a-2', { changedAt: NOW - 900_000, taskVersion: null, recipeVersion: null }, null),
  [],
);

golden(
  'a paused roll-out changes nothing more and is not judged',
  two()
    .rolling('web', 1000, { paused: true })
    .copy('web.1', 'local-a-1', { changedAt: NOW - 900_000 }, flapping)
    .copy('web.2', 'local-a-2', { version: 1 }),
  [],
);

golden(
  'a failed roll-out changes nothing more',
  two()
    .rolling('web', 1000, { failed: 'web.1 was not ready' })
    .copy('web.1', 'local-a-1', { version: 1 })
    .copy('web.2', 'local-a-2'),
  [],
);

golden(
  'one that came right after all is done',
  two().rolling('web', 1000, { failed: 'web.1 was not ready' }).copy('web.1', 'local-a-1').copy('web.2', 'local-a-2'),
  ['version 2 of "web" is rolled out: all 2 copies run it, and well'],
);

golden(
  'one at a time, unless it is promoted',
  two().rolling('web', 10).copy('web.1', 'local-a-1', { version: 1 }).copy('web.2', 'local-a-2', { version: 1 }),
  ['restart web.1 with version 2: "web" goes from version 1 to 2'],
);

golden(
  'a restart that is asked for meanwhile keeps to max_parallel',
  new ClusterFixture()
    .job('web', { 'local-a': 2 })
    .jobIs('web', { restarts: 1 })
    .rolling('web', 10, { promoted: true })
    .machine('local-a-1')
    .copy('web.1', 'local-a-1')
    .copy('web.2', 'local-a-1'),
  ['restart web.1: "web" is being restarted', 'version 1 of "web" is rolled out: all 2 copies run it, and well'],
);

golden(
  'a promoted roll-out goes to all the rest at once',
  two()
    .rolling('web', 10, { promoted: true })
    .copy('web.1', 'local-a-1', { version: 1 })
    .copy('web.2', 'local-a-2', { version: 1 }),
  [
    'restart web.1 with version 2: "web" goes from version 1 to 2',
    'restart web.2 with version 2: "web" goes from version 1 to 2',
  ],
);

golden(
  'a restart of the job is rolled like an update',
  two().jobIs('web', { restarts: 1 }).copy('web.1', 'local-a-1').copy('web.2', 'local-a-2'),
  ['restart web.1: "web" is being restarted'],
);

golden(
  'the next is restarted when the one before is well',
  two()
    .jobIs('web', { restarts: 1 })
    .copy('web.1', 'local-a-1', { jobRestarts: 1 }, { since: ago(60) })
    .copy('web.2', 'local-a-2'),
  ['restart web.2: "web" is being restarted'],
);

golden(
  'a stopped job has no copies',
  two().jobIs('web', { stopped: true }).copy('web.1', 'local-a-1').copy('web.2', 'local-a-2'),
  ['stop web.1: "web" was stopped', 'stop web.2: "web" was stopped'],
);

t.test('a singleton that makes way for a larger version is one of those that are down', async (t) => {
  const three = (first: object): ClusterFixture =>
    new ClusterFixture()
      .job('boss', { 'local-a': 3 }, { version: 2, spec: { singleton: true, update: { min_healthy: 0 } } })
      .rolling('boss', 10)
      .machine('local-a-1')
      .machine('local-a-2')
      .machine('local-a-3')
      .copy('boss.1', 'local-a-1', { version: 1, ...first })
      .copy('boss.2', 'local-a-2', { version: 1 })
      .copy('boss.3', 'local-a-3', { version: 1 });
  t.same(plan(three({ wanted: 'stop' })), []);
  t.equal(plan(three({})).length, 1, 'and otherwise one is updated');
});
