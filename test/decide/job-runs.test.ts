import t from 'tap';
import { planSentences } from '../../core/cluster/orders/plan-sentences.ts';
import { planCluster } from '../../core/decide/plan/plan-cluster.ts';
import type { JobRun } from '../../core/model/job.ts';
import { ClusterFixture, NOW } from './cluster-fixture.ts';

const plan = (fixture: ClusterFixture): string[] => planSentences(planCluster(fixture.snapshot()));

/** NOW is 12:00:00. */
function nightly(schedule: object | string, runs: Partial<JobRun>[] = [], checkedSecondsAgo = 60): ClusterFixture {
  return new ClusterFixture()
    .job('report', { 'local-a': 1 }, { task: { allow_exit: true }, spec: { schedule } })
    .jobIs('report', {
      scheduledUntil: NOW - checkedSecondsAgo * 1000,
      runs: runs.map((run, i) => ({
        id: i + 1,
        due: null,
        by: 'a test',
        version: 1,
        state: 'running',
        startedAt: NOW - 30_000,
        endedAt: null,
        sentence: '',
        ...run,
      })),
    })
    .machine('local-a-1');
}

t.test('between its times a job has no copies', async (t) => {
  t.same(plan(nightly('0 3 * * *')), []);
  const waiting = nightly('30 12 * * *');
  waiting.machines.clear();
  t.equal(planCluster(waiting.snapshot()).wakeAt, NOW + 30 * 60_000, 'and the next is waited for');
});

t.test('what is settled already is not waited for, also where the clock was set back behind it', async (t) => {
  const ahead = nightly('*/5 * * * *', [], -3600);
  ahead.machines.clear();
  t.equal(planCluster(ahead.snapshot()).wakeAt, NOW + 65 * 60_000);
});

t.test('a time that has come begins a run', async (t) => {
  const due = 'was due at 2026-01-01T12:00:00.000Z';
  t.same(plan(nightly('0 12 * * *')), [`begin run 1 of "report": ${due}`]);
});

t.test('however many times were missed, one run makes up for them', async (t) => {
  const due = 'was due at 2026-01-01T12:00:00.000Z';
  t.same(plan(nightly('*/5 * * * *', [], 86_400)), [`begin run 1 of "report": ${due}`]);
});

t.test('a run is given its copies, and they are its own', async (t) => {
  const [action] = planCluster(nightly('0 3 * * *', [{}]).snapshot()).actions;
  t.match(action, { kind: 'place-copy', copy: 'report.1', run: 1 });
});

t.test('a run is over when all its copies have exited', async (t) => {
  const done = nightly('0 3 * * *', [{}]).copy(
    'report.1',
    'local-a-1',
    { run: 1 },
    { phase: 'exited', reason: 'exited with 0' },
  );
  t.same(plan(done), ['report.1 has completed: exited with 0', 'run 1 of "report" is completed: it has exited well']);
  const failed = nightly('0 3 * * *', [{}]).copy(
    'report.1',
    'local-a-1',
    { run: 1 },
    { phase: 'failed', reason: 'exited with 3' },
  );
  t.same(plan(failed), ['report.1 has failed: exited with 3', 'run 1 of "report" is failed: report.1 failed']);
});

t.test('what did its part is not done again when its machine goes', async (t) => {
  const fixture = nightly('0 3 * * *', [{}]).job('other', { 'local-a': 0 }).jobIs('report', {});
  const spec = fixture.jobs.get('report')?.spec;
  if (spec) fixture.jobIs('report', { spec: { ...spec, deployment_layout: { 'local-a': { count: 2 } } } });
  fixture
    .copy('report.1', 'local-a-1', { run: 1, outcome: 'completed', machine: 'local-a-9' }, null)
    .copy('report.2', 'local-a-1', { run: 1 });
  t.same(plan(fixture), [], 'one part done on a machine that is gone, the other under way');
});

t.test('a part that was done is not done again because its machine is drained', async (t) => {
  const fixture = nightly('0 3 * * *', [{}]).machine('local-a-1', { state: 'draining', cordoned: true });
  const spec = fixture.jobs.get('report')?.spec;
  if (spec) fixture.jobIs('report', { spec: { ...spec, deployment_layout: { 'local-a': { count: 2 } } } });
  fixture
    .machine('local-a-2')
    .copy('report.1', 'local-a-1', { run: 1, outcome: 'completed' }, { phase: 'exited' })
    .copy('report.2', 'local-a-2', { run: 1 });
  t.same(plan(fixture), []);
  fixture.copy('report.1', 'local-a-1', { run: 1 }, { phase: 'exited', reason: 'exited with 0' });
  t.same(plan(fixture), ['report.1 has completed: exited with 0'], 'also in the plan that notes it');
});

t.test('a part that was not done when its machine went is done again', async (t) => {
  const fixture = nightly('0 3 * * *', [{}]).copy('report.1', 'local-a-1', { run: 1, machine: 'local-a-9' }, null);
  t.same(plan(fixture), [
    'forget report.1: its machine local-a-9 is gone',
    'start report.2 on local-a-1: run 1 of "report" wants 1 in local-a, in place of report.1 (its machine local-a-9 is gone)',
  ]);
});

t.test('overlap: skip, allow, replace', async (t) => {
  const due = 'was due at 2026-01-01T12:00:00.000Z';
  const going = (overlap: string): string[] =>
    plan(nightly({ cron: '0 12 * * *', overlap }, [{}]).copy('report.1', 'local-a-1', { run: 1 }));
  t.same(going('skip'), [`skip run 2 of "report": ${due}, and the one before still runs`]);
  t.same(going('allow'), [`begin run 2 of "report": ${due}`]);
  t.same(going('replace'), [
    'run 1 of "report" is stopped: the next one took its place',
    `begin run 2 of "report": ${due}`,
  ]);
});

t.test('the copies of a run that was stopped are stopped', async (t) => {
  const fixture = nightly('0 3 * * *', [{ state: 'stopped' }]).copy('report.1', 'local-a-1', { run: 1 });
  t.same(plan(fixture), ['stop report.1: run 1 was stopped']);
});

t.test('how a copy ended is noted also when its run was stopped at that moment', async (t) => {
  const stopped = nightly('0 3 * * *', [{ state: 'stopped' }]);
  const fixture = stopped.copy('report.1', 'local-a-1', { run: 1 }, { phase: 'exited' });
  t.match(planCluster(fixture.snapshot()).actions, [{ kind: 'copy-outcome', copy: 'report.1', outcome: 'completed' }]);
});

t.test('the copies of the last run stay for their logs, take no room, and go when a later run has ended', async (t) => {
  const ended = { run: 1, outcome: 'completed' } as const;
  const exited = { phase: 'exited' } as const;
  const fixture = nightly('0 3 * * *', [{ state: 'completed' }]).copy('report.1', 'local-a-1', ended, exited);
  t.same(plan(fixture), []);
  fixture.job('big', { 'local-a': 1 }, { task: { cpu: 2 } });
  t.same(plan(fixture), ['start big.1 on local-a-1: "big" wants 1 in local-a']);
  const later = nightly('0 3 * * *', [{ state: 'completed' }, { state: 'completed' }])
    .copy('report.1', 'local-a-1', ended, exited)
    .copy('report.2', 'local-a-1', { run: 2, outcome: 'completed' }, exited);
  t.same(plan(later), ['stop report.1: a later run has ended too']);
});

t.test('a job that is stopped has no runs', async (t) => {
  const fixture = nightly('0 12 * * *', [{}])
    .jobIs('report', { stopped: true })
    .copy('report.1', 'local-a-1', { run: 1 });
  t.same(plan(fixture), ['run 1 of "report" is stopped: "report" was stopped', 'stop report.1: "report" was stopped']);
});

t.test('what was run by hand is not run once more when its run is over; a new version is', async (t) => {
  const ran = (version: number): ClusterFixture =>
    new ClusterFixture()
      .job('migrate', { 'local-a': 1 }, { task: { allow_exit: true }, version })
      .jobIs('migrate', {
        runs: [
          {
            id: 1,
            due: null,
            by: 'a test',
            version: 1,
            state: 'completed',
            startedAt: NOW - 30_000,
            endedAt: NOW,
            sentence: '',
          },
        ],
      })
      .machine('local-a-1');
  t.same(plan(ran(1)), []);
  t.same(plan(ran(2)), ['start migrate.1 on local-a-1: "migrate" wants 1 in local-a']);
});

t.test('what did its part on a machine that is gone is forgotten with its job', async (t) => {
  const fixture = nightly('0 3 * * *', [{}])
    .copy('report.1', 'local-a-1', { run: 1, outcome: 'completed', machine: 'local-a-9' }, null)
    .jobIs('report', { state: 'removing' });
  t.same(plan(fixture), [
    'forget report.1: its machine local-a-9 is gone',
    'forget job "report": all its copies have ended',
  ]);
  fixture.copy('report.1', 'local-a-1', { run: 1, outcome: 'completed', machine: 'local-a-9', wanted: 'stop' }, null);
  t.match(plan(fixture), ['forget report.1: its machine local-a-9 is gone']);
});
