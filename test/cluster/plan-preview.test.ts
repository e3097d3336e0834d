import t from 'tap';
import { previewPlan } from '../../core/cluster/orders/plan-preview.ts';
import type { JobVersion } from '../../core/model/job.ts';
import { ClusterFixture } from '../decide/cluster-fixture.ts';

const NOTHING = { jobs: [], versions: [], lost: [], drained: [] };
const preview = (fixture: ClusterFixture, wish: Partial<Parameters<typeof previewPlan>[2]> = {}) =>
  previewPlan(fixture.snapshot(), new Map<string, JobVersion>(), { ...NOTHING, ...wish });
const two = (): ClusterFixture =>
  new ClusterFixture()
    .job('web', { 'local-a': 2 }, { task: { cpu: 2 } })
    .machine('local-a-1')
    .machine('local-a-2')
    .copy('web.1', 'local-a-1')
    .copy('web.2', 'local-a-2');

t.test('nothing to do: nothing is told', async (t) => {
  t.same(preview(two()), { sentences: [], price: null });
});

t.test('a machine that is lost: the whole way, to the end', async (t) => {
  t.same(preview(two(), { lost: ['local-a-2'] }).sentences, [
    'forget web.2: its machine local-a-2 is gone',
    'order machine local-a-3 (small: 2 cores, 2048 MB): 1 copy of "web" had no room in local-a',
    'start web.3 on local-a-3: "web" wants 2 in local-a, in place of web.2 (its machine local-a-2 is gone)',
  ]);
});

t.test('a machine that is drained: its copies move before it is ended', async (t) => {
  t.same(preview(two(), { drained: ['local-a-2'] }).sentences, [
    'order machine local-a-3 (small: 2 cores, 2048 MB): 1 copy of "web" had no room in local-a',
    'start web.3 on local-a-3: "web" wants 2 in local-a, in place of web.2 (local-a-2 is being emptied)',
    'stop web.2: moved away from local-a-2',
    'machine local-a-2 becomes terminating: it is supposed to be drained; it is empty now',
  ]);
});

t.test('a new version is rolled to its end, one copy after another', async (t) => {
  const fixture = two();
  const wanted = new ClusterFixture().job('web', { 'local-a': 2 }, { task: { cpu: 2 }, version: 2 }).rolling('web', 0);
  const jobs = [...wanted.jobs.values()].map((job) => ({ ...job, nextSerial: 3 }));
  t.same(preview(fixture, { jobs }).sentences, [
    'restart web.1 with version 2: "web" goes from version 1 to 2',
    'restart web.2 with version 2: "web" goes from version 1 to 2',
  ]);
});

t.test('what the machines cost, before and after', async (t) => {
  const fixture = new ClusterFixture().job('web', { 'local-a': 3 }, { task: { cpu: 2 } });
  fixture.machine('local-a-1', { price: 0.1 }).copy('web.1', 'local-a-1');
  const snapshot = { ...fixture.snapshot(), types: () => [{ name: 'small', cpu: 2, mem: 2048, price: 0.1 }] };
  t.same(previewPlan(snapshot, new Map(), NOTHING).price, { before: 0.1, after: 0.3 });
});

t.test('it leaves everything as it is', async (t) => {
  const fixture = two();
  const before = JSON.stringify([[...fixture.machines], [...fixture.copies], [...fixture.jobs]]);
  preview(fixture, { lost: ['local-a-1'], drained: ['local-a-2'] });
  t.equal(JSON.stringify([[...fixture.machines], [...fixture.copies], [...fixture.jobs]]), before);
});

t.test('what cannot be done is told once, and a scheduled run is no consequence', async (t) => {
  const fixture = new ClusterFixture()
    .job('big', { 'local-a': 1 }, { task: { cpu: 99 } })
    .job('report', { 'local-a': 1 }, { task: { allow_exit: true }, spec: { schedule: '* * * * *' } });
  const { sentences } = preview(fixture);
  t.equal(sentences.length, 1);
  t.match(sentences[0], /^cannot: a copy of "big" needs 99 cores/);
});

t.test(
  'where nothing comes of it the planner is asked a few times, and not for every moment of the hour',
  async (t) => {
    const calm = two()
      .machine('local-a-3')
      .job('report', { 'local-a': 1 }, { task: { allow_exit: true }, spec: { schedule: '* * * * *' } });
    const braked = two().silent('local-a-1', 600).silent('local-a-2', 600);
    for (const fixture of [calm, braked]) {
      const { limits, ...snapshot } = fixture.snapshot();
      let asked = 0;
      const counted = {
        ...limits,
        get suspectAfterMs() {
          asked += 1;
          return limits.suspectAfterMs;
        },
      };
      previewPlan({ ...snapshot, limits: counted }, new Map<string, JobVersion>(), NOTHING);
      t.ok(asked > 0 && asked < 100, `${asked} times, for each machine`);
    }
  },
);
