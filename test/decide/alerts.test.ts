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
  const record = { ...condition, since: NOW - 60_000, resolvedAt: null, toldAt: NOW - 60_000, ...change };
  return new Map([[record.key, record]]);
};

t.test('an alert begins once, and is told once', async (t) => {
  const begun = stepAlerts(new Map(), is(condition), NOW);
  t.equal(begun.raised.length, 1);
  t.equal(begun.tell.length, 1);
  const lasting = stepAlerts(kept(), is(condition), NOW);
  t.same([lasting.write.size, lasting.raised, lasting.tell], [0, [], []]);
});

t.test('it is told again when it grows worse, and once an hour', async (t) => {
  t.equal(stepAlerts(kept(), is({ ...condition, level: 'error' }), NOW).tell.length, 1);
  t.equal(stepAlerts(kept({ toldAt: NOW - 3_600_000 }), is(condition), NOW).tell.length, 1);
  t.equal(stepAlerts(kept(), is({ ...condition, sentence: 'web.1 ails still' }), NOW).tell.length, 0);
});

t.test('what comes back at once was never over; what stays away is', async (t) => {
  const first = stepAlerts(kept(), is(), NOW);
  t.match(first.write.get(condition.key), { resolvedAt: NOW });
  t.same(first.resolved, []);
  const back = stepAlerts(kept({ resolvedAt: NOW - 5000 }), is(condition), NOW);
  t.match(back.write.get(condition.key), { resolvedAt: null });
  t.same([back.raised, back.tell], [[], []]);
  const over = stepAlerts(kept({ resolvedAt: NOW - 90_000 }), is(), NOW);
  t.equal(over.write.get(condition.key), null);
  t.equal(over.resolved.length, 1);
  t.match(over.tell, [{ resolvedAt: NOW - 90_000 }]);
  t.same(stepAlerts(kept({ resolvedAt: NOW - 90_000, toldAt: null }), is(), NOW).tell, [], 'nobody knew of it');
});

t.test('a copy that ends once a minute is one story: it must be well for longer than that', async (t) => {
  t.equal(condition.key.startsWith('copy/'), true);
  const between = stepAlerts(kept({ resolvedAt: NOW - 60_000 }), is(), NOW);
  t.same([between.resolved, between.tell], [[], []]);
  t.equal(between.wakeAt, NOW + 30_000);
  const machine = new Map([
    ['machine/m', { ...condition, key: 'machine/m', since: NOW, resolvedAt: NOW - 60_000, toldAt: NOW }],
  ]);
  t.equal(stepAlerts(machine, is(), NOW).resolved.length, 1, 'others are over sooner');
});
