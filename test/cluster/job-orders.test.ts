import t from 'tap';
import { JobOrders } from '../../core/cluster/orders/job-orders.ts';
import { applyPlan } from '../../core/cluster/records/apply-plan.ts';
import { type ClusterRecords, keys } from '../../core/cluster/records/cluster-records.ts';
import type { CopyRecord } from '../../core/model/copy.ts';
import type { JobRecord, JobRun, JobSpec, JobVersion } from '../../core/model/job.ts';
import { ClusterFixture, NOW } from '../decide/cluster-fixture.ts';
import { VirtualClock } from '../simulation/virtual-clock.ts';

const run = (change: Partial<JobRun>): JobRun => ({
  id: 5,
  due: null,
  by: 'a test',
  version: 1,
  state: 'running',
  startedAt: NOW - 1000,
  endedAt: null,
  sentence: '',
  ...change,
});

const versionOf = (job: string, version: number, spec: JobSpec): [string, JobVersion] => [
  keys.version(job, version),
  { job, version, spec, createdAt: '', by: 'a test', outcome: 'good', sentence: null } as unknown as JobVersion,
];

/** Orders over the records of a fixture, and what the last one has written, by key. */
function under(fixture: ClusterFixture, versions: [string, JobVersion][] = []) {
  const { jobs, copies } = fixture.snapshot();
  const written = new Map<string, unknown>();
  const records = {
    jobs,
    copies,
    versions: new Map(versions),
    transact: async (build: () => { write: { put: string; value: unknown }[] } | null) => {
      for (const { put, value } of build()?.write ?? []) written.set(put, value);
    },
  } as unknown as ClusterRecords;
  const clock = new VirtualClock(NOW);
  return { orders: new JobOrders({ records, clock, onOrder: () => undefined }), written };
}

t.test('a copy that is restarted by hand leaves its names first: it has changed now', async (t) => {
  const fixture = new ClusterFixture()
    .job('web', { 'local-a': 1 })
    .machine('local-a-1')
    .copy('web.1', 'local-a-1', {
      changedAt: NOW - 86_400_000,
      attempts: 3,
      nextAttemptAt: NOW + 60_000,
      lastError: 'no',
    });
  const { orders, written } = under(fixture);
  await orders.restartCopy('web.1', 'a test');
  t.match(written.get('copy/web.1'), { changedAt: NOW, attempts: 0, nextAttemptAt: 0, lastError: null });
});

t.test('what runs in turns is not restarted, and nobody is told that it was', async (t) => {
  const schedule = { cron: ['0 3 * * *'], time_zone: 'UTC', overlap: 'skip' as const };
  const nightly = (state: JobRun['state']): ClusterFixture =>
    new ClusterFixture()
      .job('nightly', { 'local-a': 1 }, { spec: { schedule } })
      .jobIs('nightly', { runs: [run({ state })] })
      .machine('local-a-1')
      .copy('nightly.1', 'local-a-1', { run: 5, outcome: state === 'completed' ? 'completed' : null });
  const over = under(nightly('completed'));
  await t.rejects(over.orders.restart('nightly', 'a test'), { code: 'conflict', message: /cerebro run nightly/ });
  await t.rejects(over.orders.restartCopy('nightly.1', 'a test'), {
    code: 'conflict',
    message: /run 5, which is over/,
  });
  t.equal(over.written.size, 0);
  const going = under(nightly('running'));
  await going.orders.restartCopy('nightly.1', 'a test');
  t.equal((going.written.get('copy/nightly.1') as CopyRecord).outcome, null);
});

t.test('going back to another schedule asks for nothing of the time before', async (t) => {
  const at = (hour: number) => ({
    schedule: { cron: [`0 ${hour} * * *`], time_zone: 'UTC', overlap: 'skip' as const },
  });
  const fixture = new ClusterFixture()
    .job('nightly', { 'local-a': 1 }, { version: 2, spec: at(3) })
    .jobIs('nightly', { scheduledUntil: NOW - 40_000_000 });
  const spec = fixture.snapshot().jobs.get('nightly')?.spec as JobSpec;
  const { orders, written } = under(fixture, [
    versionOf('nightly', 1, { ...spec, ...at(14) }),
    versionOf('nightly', 2, spec),
  ]);
  await orders.rollBack('nightly', 1, 'a test');
  t.match(written.get('job/nightly'), { version: 1, scheduledUntil: NOW });
});

t.test('a version that has failed goes back with as many copies as there are to be now', async (t) => {
  const fixture = new ClusterFixture().job('web', { 'local-a': 20 }, { version: 2 }).rolling('web', 10);
  const snapshot = fixture.snapshot();
  const job = snapshot.jobs.get('web') as JobRecord;
  const layout = { 'local-a': { cpu: 1, mem: 100, count: 10 }, 'local-b': { cpu: 1, mem: 100, count: 2 } };
  const versions = new Map([
    versionOf('web', 1, { ...job.spec, deployment_layout: layout } as unknown as JobSpec),
    versionOf('web', 2, job.spec),
  ]);
  const { jobs, machines, copies } = snapshot;
  const actions = [{ kind: 'roll-failed' as const, job: 'web', version: 2, revertTo: 1, reason: 'web.1 failed' }];
  const change = applyPlan({ actions, complaints: [], wakeAt: null }, { jobs, machines, copies, versions }, NOW);
  const put = change.write?.find((each) => 'put' in each && each.put === 'job/web') as { value: JobRecord } | undefined;
  t.match(put?.value, { version: 1, rollout: { to: 1 } });
  t.equal(put?.value.spec.deployment_layout['local-a']?.count, 20, 'it was scaled since');
  t.equal(put?.value.spec.deployment_layout['local-b']?.count, 2, 'and a zone that was left is there again');
});
