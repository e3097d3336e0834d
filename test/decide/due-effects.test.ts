import t from 'tap';
import { dueEffects } from '../../core/decide/plan/due-effects.ts';
import { ClusterFixture, NOW } from './cluster-fixture.ts';

const kindsOf = (fixture: ClusterFixture): string[] =>
  dueEffects(fixture.snapshot()).effects.map(({ kind, key }) => `${kind} ${key}`);

const running = (): ClusterFixture =>
  new ClusterFixture().job('web', { 'local-a': 1 }, { version: 4 }).machine('local-a-1');

t.test('what runs as it should asks for nothing', async (t) => {
  t.same(kindsOf(running().copy('web.1', 'local-a-1')), []);
});

t.test('a machine that has forgotten a task is told again', async (t) => {
  t.same(kindsOf(running().copy('web.1', 'local-a-1', {}, null)), ['deploy-copy web.1']);
});

t.test(
  'a machine that runs an older version, since an old command came after the new one, is told again',
  async (t) => {
    t.same(kindsOf(running().copy('web.1', 'local-a-1', {}, { version: 3 })), ['deploy-copy web.1']);
  },
);

t.test('… but not before it had time to report what it was given just now', async (t) => {
  const fixture = running().copy('web.1', 'local-a-1', { nextAttemptAt: NOW + 2000 }, { version: 3 });
  t.same(dueEffects(fixture.snapshot()), { effects: [], wakeAt: NOW + 2000 });
});
