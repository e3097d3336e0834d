import t from 'tap';
import { planSentences } from '../../core/cluster/orders/plan-sentences.ts';
import { dueEffects } from '../../core/decide/plan/due-effects.ts';
import { planCluster } from '../../core/decide/plan/plan-cluster.ts';
import { ClusterFixture, NOW } from './cluster-fixture.ts';

const plan = (fixture: ClusterFixture): string[] => planSentences(planCluster(fixture.snapshot()));
/** `boss` may not run twice, and takes 10 s to stop at most. */
const boss = (): ClusterFixture => new ClusterFixture().job('boss', { 'local-a': 1 }, { spec: { singleton: true } });
const lost = (seconds: number) => ({ state: 'lost' as const, stateSince: NOW - seconds * 1000 });

t.test('a copy on a lost machine is replaced only when it has certainly stopped itself', async (t) => {
  const early = boss()
    .machine('local-a-1', lost(14))
    .silent('local-a-1', 44)
    .machine('local-a-2')
    .copy('boss.1', 'local-a-1');
  t.same(plan(early), []);
  t.equal(planCluster(early.snapshot()).wakeAt, NOW + 1000, '10 s to stop, and 5 for clocks that run apart');
  const late = boss()
    .machine('local-a-1', lost(16))
    .silent('local-a-1', 46)
    .machine('local-a-2')
    .copy('boss.1', 'local-a-1');
  t.same(plan(late), [
    'forget boss.1: its machine local-a-1 is gone',
    'start boss.2 on local-a-2: "boss" wants 1 in local-a, in place of boss.1 (its machine local-a-1 is gone)',
  ]);
});

t.test('at once, where the provider says that the machine is gone', async (t) => {
  const gone = boss().machine('local-a-1', lost(1)).machine('local-a-2').copy('boss.1', 'local-a-1');
  t.same(plan(gone.provider('local-a-1', 'gone')), [
    'forget boss.1: its machine local-a-1 is gone',
    'start boss.2 on local-a-2: "boss" wants 1 in local-a, in place of boss.1 (its machine local-a-1 is gone)',
  ]);
});

t.test('drained: it is stopped first, and begun elsewhere when it is gone', async (t) => {
  const draining = boss().machine('local-a-1', { state: 'draining', cordoned: true }).machine('local-a-2');
  t.same(plan(draining.copy('boss.1', 'local-a-1')), ['stop boss.1: moved away from local-a-1']);
  draining.copy('boss.1', 'local-a-1', { wanted: 'stop' });
  t.same(plan(draining), [], 'not while it is being stopped');
});

t.test('one that stopped itself goes on when its machine is back in time', async (t) => {
  const back = boss().machine('local-a-1').copy('boss.1', 'local-a-1', {}, { phase: 'stopped' });
  t.same(
    dueEffects(back.snapshot()).effects.map(({ kind, key }) => `${kind} ${key}`),
    ['deploy-copy boss.1'],
  );
});

t.test('moved to another zone: it is begun there when it is gone here', async (t) => {
  const moved = new ClusterFixture()
    .job('boss', { 'local-b': 1 }, { spec: { singleton: true } })
    .machine('local-a-1')
    .machine('local-b-1')
    .copy('boss.1', 'local-a-1');
  t.same(plan(moved), ['stop boss.1: "boss" has left zone local-a']);
  moved.copy('boss.1', 'local-a-1', { wanted: 'stop' });
  t.same(plan(moved), [], 'not while it is being stopped');
  moved.copies.clear();
  t.same(plan(moved), ['start boss.2 on local-b-1: "boss" wants 1 in local-b']);
});

t.test('given up before its leash is over, on the word that it is stopped: the leash is waited out', async (t) => {
  const stopped = boss()
    .machine('local-a-1', lost(16))
    .silent('local-a-1', 17)
    .machine('local-a-2')
    .copy('boss.1', 'local-a-1');
  t.same(plan(stopped), []);
  t.same(
    plan(boss().machine('local-a-1', lost(30)).silent('local-a-1', 46).machine('local-a-2').copy('boss.1', 'local-a-1'))
      .length,
    2,
  );
});
