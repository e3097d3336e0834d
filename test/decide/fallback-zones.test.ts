import t from 'tap';
import { planSentences } from '../../core/cluster/orders/plan-sentences.ts';
import { planCluster } from '../../core/decide/plan/plan-cluster.ts';
import { checkJobs } from '../../core/decide/read/check-jobs.ts';
import { jobSpec } from '../../core/model/job.ts';
import { sizeKey } from '../../core/model/plan.ts';
import { ClusterFixture, NOW, TYPES } from './cluster-fixture.ts';

const [A, B, C] = ['aws-us-west-2a', 'aws-us-west-2b', 'aws-us-west-2c'];

const layout = (count: number, fallback: string[] = [B, C]): { spec: object } => ({
  spec: { deployment_layout: { [A]: { count, fallback } } },
});
const wants = (count: number): ClusterFixture => new ClusterFixture().job('web', {}, layout(count));
const plan = (fixture: ClusterFixture): string[] => planSentences(planCluster(fixture.snapshot()));

function soldOut(fixture: ClusterFixture, ...zones: string[]): ClusterFixture {
  for (const zone of zones) for (const { name } of TYPES) fixture.soldOut.set(sizeKey(zone, { name }), NOW + 60_000);
  return fixture;
}

t.test('a copy is placed in its own zone while that has a machine for it', async (t) => {
  t.same(plan(wants(1).machine(`${B}-1`)), [
    `order machine ${A}-1 (small: 2 cores, 2048 MB): 1 copy of "web" had no room in ${A}`,
    `start web.1 on ${A}-1: "web" wants 1 in ${A}`,
  ]);
});

t.test('where every size is sold out the next zone has it, on a machine that is there or a new one', async (t) => {
  const sentence = `"web" wants 3 in ${A}; ${A} has no small, large just now`;
  const fixture = soldOut(wants(3), A).machine(`${B}-1`);
  t.same(plan(fixture), [
    `start web.1 on ${B}-1: ${sentence}`,
    `start web.2 on ${B}-1: ${sentence}`,
    `order machine ${B}-2 (small: 2 cores, 2048 MB): 1 copy of "web" had no room in ${B}`,
    `start web.3 on ${B}-2: ${sentence}`,
  ]);
  t.same(
    planCluster(fixture.snapshot()).actions.flatMap((action) => (action.kind === 'place-copy' ? [action.zone] : [])),
    [A, A, A],
    'they count where they are wanted',
  );
});

t.test('an order that cannot be had is withdrawn for the next zone, and nobody else is moved for it', async (t) => {
  const fixture = soldOut(wants(1), A)
    .job('other', { [A]: 1 })
    .machine(`${A}-1`, { zone: A, state: 'requested', ref: null, endpoint: null, lastError: 'none left' })
    .copy('web.1', `${A}-1`, { zone: A, taskVersion: null, recipeVersion: null }, null)
    .copy('other.1', `${A}-1`, { zone: A, taskVersion: null, recipeVersion: null }, null);
  const told = plan(fixture);
  t.equal(told[0], `machine ${A}-1 becomes terminating: ${A} has no small just now`);
  t.ok(
    told.some((line) => line.startsWith(`start web.2 on ${B}-`)),
    told.join('\n'),
  );
  t.ok(
    told.includes(
      `cannot: a copy of "other" waits for small, large, of which ${A} has none just now; it is asked for again every few minutes`,
    ),
  );
  const alone = soldOut(new ClusterFixture().job('other', { [A]: 1 }), A)
    .machine(`${A}-1`, { zone: A, state: 'requested', ref: null, endpoint: null, lastError: 'none left' })
    .copy('other.1', `${A}-1`, { zone: A, taskVersion: null, recipeVersion: null }, null);
  t.same(plan(alone), [], 'who may go nowhere else waits for the order');
});

t.test('when no zone has any, that is told once, and tried again when the first may have', async (t) => {
  const fixture = soldOut(wants(2), A, B, C);
  t.same(plan(fixture), [
    `cannot: a copy of "web" waits for small, large, of which ${A}, ${B}, ${C} have none just now; it is asked for again every few minutes`,
  ]);
  t.equal(planCluster(fixture.snapshot()).wakeAt, NOW + 60_000);
  const order = soldOut(wants(1), A, B, C)
    .machine(`${A}-1`, { zone: A, state: 'requested', ref: null, endpoint: null, lastError: 'none left' })
    .copy('web.1', `${A}-1`, { zone: A, taskVersion: null, recipeVersion: null }, null);
  t.same(plan(order), [], 'an order is kept where nobody has anything better');
});

t.test('a copy that runs in another zone stays there, and is not counted twice', async (t) => {
  const fixture = wants(1).machine(`${B}-1`, { zone: B }).copy('web.1', `${B}-1`, { zone: A });
  t.same(plan(fixture), []);
});

t.test('what cannot be meant is refused', async (t) => {
  const problems = (fallback: string[], more: object = {}): string[] =>
    checkJobs(
      [
        jobSpec.parse({
          task_configuration: { name: 'web', command: 'x' },
          deployment_layout: { [A]: { count: 1, fallback } },
          ...more,
        }),
      ],
      { jobs: new Map(), providers: ['aws', 'local'], types: (zone) => (zone.endsWith('x') ? [] : TYPES) },
    );
  t.same(problems([B, C]), []);
  t.same(problems([B, B, A]), [
    `"web": deployment_layout.${A}.fallback: ${B} is named already`,
    `"web": deployment_layout.${A}.fallback: ${A} is named already`,
  ]);
  t.same(problems(['local-a']), [`"web": deployment_layout.${A}.fallback: local-a is a zone of another provider`]);
  t.same(problems(['aws-eu-west-1a']), []);
  t.same(problems(['aws-eu-west-1a'], { dns_basename: 'web.startup.com' }), [
    `"web": deployment_layout.${A}.fallback: aws-eu-west-1a is in another region, and the names of "dns_basename" bear the region`,
  ]);
  t.same(problems(['aws-us-west-2x']), [
    `"web": deployment_layout.${A}.fallback: aws-us-west-2x: the provider "aws" does not serve this zone`,
  ]);
});

t.test('a zone that sells nothing says why, when a job is applied and while its copies wait', async (t) => {
  const why = 'EC2 in us-west-2 refuses our credentials (AuthFailure): check the access key';
  const job = jobSpec.parse({
    task_configuration: { name: 'web', command: 'x' },
    deployment_layout: { [A]: { count: 1 } },
  });
  const context = { jobs: new Map(), providers: ['aws'], types: () => [] };
  t.same(checkJobs([job], { ...context, complaint: () => why }), [
    `"web": deployment_layout.${A}: nothing is to be had in this zone: ${why}`,
  ]);
  t.match(checkJobs([job], context), [/does not serve this zone/]);
  const snapshot = { ...wants(1).snapshot(), types: () => [] };
  t.same(planSentences(planCluster({ ...snapshot, complaint: () => why })), [
    `cannot: a copy of "web" waits for a machine in ${A}, where none is to be had: ${why}; one is ordered as soon as that changes`,
  ]);
  t.same(planSentences(planCluster(snapshot)), [
    `cannot: a copy of "web" waits for a machine in ${A}, where none is to be had: no provider sells any there; one is ordered as soon as that changes`,
  ]);
});
