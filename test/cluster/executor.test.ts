import t from 'tap';
import type { RecipeRun } from '../../core/cluster/copies/recipe-runner.ts';
import { Executor, type ExecutorDeps } from '../../core/cluster/executor.ts';
import { WorkCounter } from '../../core/cluster/work/work-counter.ts';
import { dueEffects } from '../../core/decide/plan/due-effects.ts';
import { ClusterFixture, NOW } from '../decide/cluster-fixture.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { VirtualClock } from '../simulation/virtual-clock.ts';

t.test('recipes that wait for one machine keep no other machine waiting', async (t) => {
  const spec = { deployment_recipe: 'release' };
  const fixture = new ClusterFixture().job('web', { 'local-a': 101 }, { spec }).machine('local-a-1');
  const fresh = { recipeVersion: null, taskVersion: null };
  for (let n = 1; n <= 100; n++) fixture.copy(`web.${n}`, 'local-a-1', fresh, null);
  fixture.machine('local-a-2').copy('web.101', 'local-a-2', fresh, null);
  const snapshot = fixture.snapshot();
  const begun: { copy: string; end(): void }[] = [];
  const recipes = {
    run: ({ copy }: RecipeRun) => new Promise<void>((resolve) => begun.push({ copy: copy.id, end: resolve })),
  };
  const records = {
    copies: snapshot.copies,
    spec: (job: string) => snapshot.jobs.get(job)?.spec,
    transact: async () => undefined,
  };
  const deps: unknown = {
    records,
    recipes,
    providers: new Map([['local', { name: 'local', serves: () => true }]]),
    clock: new VirtualClock(NOW),
    logger: silentLogger,
    work: new WorkCounter(),
    lead: { demand: () => undefined },
    secrets: { of: () => undefined },
    client: { putTask: async () => undefined },
    onDone: () => undefined,
  };
  const executor = new Executor(deps as ExecutorDeps);
  const { effects } = dueEffects(snapshot);
  t.equal(effects.length, 101);
  executor.start(effects);
  t.same(
    begun.map(({ copy }) => copy),
    ['web.1', 'web.101'],
  );
  executor.start(effects);
  t.equal(begun.length, 2, 'one at a time');
  begun[0]?.end();
  await new Promise((resolve) => setImmediate(resolve));
  executor.start(effects.filter(({ key }) => key !== 'web.1'));
  t.equal(begun[2]?.copy, 'web.2');
  for (const { end } of begun) end();
  await executor.stop(1000);
});
