import t from 'tap';
import { type Condition, conditionsOf, stepAlerts } from '../../core/decide/alerts.ts';
import { planCluster } from '../../core/decide/plan/plan-cluster.ts';
import type { AlertRecord } from '../../core/model/alert.ts';
import type { JobVersion } from '../../core/model/job.ts';
import type { TaskStatus } from '../../core/model/task.ts';
import { ClusterFixture, NOW } from './cluster-fixture.ts';

function sentences(fixture: ClusterFixture, version?: Partial<JobVersion>): string[] {
  const snapshot = fixture.snapshot();
  const { complaints } = planCluster(snapshot);
  const conditions = conditionsOf({
    snapshot,
    complaints,
    versionOf: (job, number) => {
      const spec = snapshot.jobs.get(job)?.spec;
      const at = new Date(NOW).toISOString();
      return spec && { job, version: number, spec, createdAt: at, by: '', outcome: null, sentence: null, ...version };
    },
    others: [],
  });
  return [...conditions.values()].map(({ level, key, sentence }) => `${level} ${key}: ${sentence}`);
}
const web = (): ClusterFixture => new ClusterFixture().job('web', { 'local-a': 1 }).machine('local-a-1');

t.test('all is well: nothing to tell', async (t) => {
  t.same(sentences(web().copy('web.1', 'local-a-1')), []);
});

t.test('what people should know of', async (t) => {
  t.match(sentences(web().copy('web.1', 'local-a-1', {}, { flapping: true })), [
    /^error copy\/web\.1: web\.1 ends again/,
  ]);
  t.match(sentences(web().copy('web.1', 'local-a-1').silent('local-a-1', 15)), [
    /^warn machine\/local-a-1: .*not heard/,
  ]);
  t.match(sentences(web().machine('local-a-1', { state: 'lost', reason: 'not heard for 30 s' })), [
    /^error machine\/local-a-1: local-a-1 is lost: not heard for 30 s/,
  ]);
  t.match(sentences(web().copy('web.1', 'local-a-1', { lastError: 'no space on its disk', attempts: 3 })), [
    /^warn copy\/web\.1: web\.1: no space on its disk \(tried 3 times\)/,
  ]);
});

t.test('a copy that was ended for its memory is told of for ten minutes', async (t) => {
  const ended = (secondsAgo: number): Partial<TaskStatus> => ({
    lastEnd: {
      run: 1,
      reason: 'mem',
      sentence: 'ended for its memory: 1312 of 1200 MB',
      endedAt: new Date(NOW - secondsAgo * 1000).toISOString(),
    } as TaskStatus['lastEnd'],
  });
  t.match(sentences(web().copy('web.1', 'local-a-1', {}, ended(60))), [
    /^warn copy\/web\.1: web\.1 was ended for its memory: .*1312 of 1200 MB/,
  ]);
  t.same(sentences(web().copy('web.1', 'local-a-1', {}, ended(700))), []);
});

t.test('a roll-out that has failed and stands still, and a ceiling on what a zone may cost', async (t) => {
  const failed = web().copy('web.1', 'local-a-1').rolling('web', 60, { failed: 'web.1 was not ready' });
  t.match(sentences(failed), [/^error rollout\/web: version 1 of "web" has failed: web\.1 was not ready/]);
  const fixture = new ClusterFixture().job('web', { 'local-a': 1 });
  fixture.limits = { ...fixture.limits, maxSpend: () => -1 };
  t.match(sentences(fixture), [/^error ceiling\/local-a: 1 copy waits.*\(spend_ceiling\)/]);
});

t.test('a brake that is on is told once, however many machines it holds', async (t) => {
  const fixture = new ClusterFixture().job('web', { 'local-a': 3 });
  for (const n of [1, 2, 3])
    fixture.machine(`local-a-${n}`).copy(`web.${n}`, `local-a-${n}`).silent(`local-a-${n}`, 60);
  t.equal(sentences(fixture).filter((sentence) => sentence.startsWith('error brake/local-a')).length, 1);
});

t.test('a zone at its ceiling', async (t) => {
  const fixture = new ClusterFixture().job('web', { 'local-a': 1 });
  fixture.limits = { ...fixture.limits, maxMachines: () => 0 };
  t.match(sentences(fixture), [/^error ceiling\/local-a: 1 copy waits for a machine.*may have 0 \(max_machines\)/]);
});

t.test('a version that was taken back stays an alert until a newer one is applied', async (t) => {
  const back = (): ClusterFixture => web().copy('web.1', 'local-a-1').jobIs('web', { version: 1, lastVersion: 2 });
  t.match(sentences(back(), { outcome: 'failed', sentence: 'web.1 was not ready' }), [
    /^error rollout\/web: version 2 of "web" has failed: web\.1 was not ready; version 1 is in force/,
  ]);
  t.same(sentences(back().jobIs('web', { lastVersion: 3 }), { outcome: null }), []);
});

t.test('a run that failed stays an alert until one is well', async (t) => {
  const run = (id: number, state: 'failed' | 'completed' | 'running') => ({
    id,
    due: null,
    by: 'cron',
    version: 1,
    state,
    startedAt: NOW,
    endedAt: NOW,
    sentence: 'web.1 failed',
  });
  const job = (...runs: ReturnType<typeof run>[]): string[] =>
    sentences(new ClusterFixture().job('web', { 'local-a': 0 }).jobIs('web', { runs }));
  t.match(job(run(1, 'completed'), run(2, 'failed'), run(3, 'running')), [
    /^error run\/web: run 2 of "web" has failed/,
  ]);
  t.same(job(run(2, 'failed'), run(3, 'completed')), []);
});

const condition: Condition = { key: 'copy/web.1', level: 'warn', sentence: 'web.1 ails' };
const is = (...conditions: Condition[]): Map<string, Condition> => new Map(conditions.map((each) => [each.key, each]));
const kept = (change: Partial<AlertRecord> = {}): Map<string, AlertRecord> => {
  const times = { since: NOW - 60_000, resolvedAt: null, toldAt: NOW - 60_000 };
  const record: AlertRecord = { ...condition, ...times, over: false, owed: [], ...change };
  return new Map([[record.key, record]]);
};

const step = (
  before: ReadonlyMap<string, AlertRecord>,
  now: ReadonlyMap<string, Condition>,
  names = ['mail', 'page'],
) => {
  const changes = stepAlerts(before, now, names, NOW);
  const after = changes.write.get(condition.key);
  return { ...changes, after, told: after?.toldAt === NOW ? after.owed : [] };
};

t.test('an alert begins once, and is told once to each', async (t) => {
  const begun = step(new Map(), is(condition));
  t.equal(begun.raised.length, 1);
  t.same(begun.told, ['mail', 'page']);
  const lasting = step(kept(), is(condition));
  t.same([lasting.write.size, lasting.raised], [0, []]);
  const owed = step(kept({ owed: ['mail'] }), is({ ...condition, sentence: 'web.1 ails still' }));
  t.match(owed.after, { sentence: 'web.1 ails still', owed: ['mail'], toldAt: NOW - 60_000 });
});

t.test('it is told again when it grows worse, and once an hour', async (t) => {
  t.equal(step(kept(), is({ ...condition, level: 'error' })).told.length, 2);
  t.equal(step(kept({ toldAt: NOW - 3_600_000 }), is(condition)).told.length, 2);
  t.equal(step(kept(), is({ ...condition, sentence: 'web.1 ails still' })).told.length, 0);
});

t.test('what comes back at once was never over; what stays away is', async (t) => {
  const first = step(kept(), is());
  t.match(first.after, { resolvedAt: NOW, over: false });
  t.same(first.resolved, []);
  const back = step(kept({ resolvedAt: NOW - 5000 }), is(condition));
  t.match(back.after, { resolvedAt: null });
  t.same([back.raised, back.told], [[], []]);
  const away = kept({ resolvedAt: NOW - 90_000 });
  const over = step(away, is());
  t.equal(over.resolved.length, 1);
  t.match(over.after, { resolvedAt: NOW - 90_000, over: true, owed: ['mail', 'page'], toldAt: NOW });
  t.equal(step(away, is(), []).after, null, 'nobody is there to be told');
});

t.test('what is over stays until all have taken it, and is another story when it comes back', async (t) => {
  const over = (owed: string[]) => kept({ resolvedAt: NOW - 90_000, over: true, owed });
  t.equal(step(over(['page']), is()).write.size, 0);
  t.equal(step(over(['gone']), is()).after, null, 'a notifier that is not there any more is not waited for');
  const again = step(over(['page']), is(condition));
  t.match(again.after, { since: NOW, resolvedAt: null, over: false, owed: ['mail', 'page'] });
  t.equal(again.raised.length, 1);
});

t.test('what waits for a notifier that takes nothing is bounded, the oldest go', async (t) => {
  const many = new Map<string, AlertRecord>();
  for (let n = 0; n < 503; n++) {
    for (const record of kept({ key: `machine/${n}`, over: true, resolvedAt: NOW, owed: ['mail'] }).values())
      many.set(record.key, record);
  }
  t.same(
    [...step(many, is()).write],
    [0, 1, 2].map((n) => [`machine/${n}`, null]),
  );
});

t.test('a copy that ends once a minute is one story: it must be well for longer than that', async (t) => {
  t.equal(condition.key.startsWith('copy/'), true);
  const between = step(kept({ resolvedAt: NOW - 60_000 }), is());
  t.same([between.resolved, between.write.size], [[], 0]);
  t.equal(between.wakeAt, NOW + 30_000);
  const machine = kept({ key: 'machine/m', since: NOW, resolvedAt: NOW - 60_000, toldAt: NOW });
  t.equal(step(machine, is()).resolved.length, 1, 'others are over sooner');
});
