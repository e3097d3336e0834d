import t, { type Test } from 'tap';
import { type Authority, CertificateAuthority } from '../../core/cluster/access/certificate-authority.ts';
import type { ClusterSitter, ClusterSitterDeps } from '../../core/cluster/cluster-sitter.ts';
import { Reconciler, type ReconcilerDeps } from '../../core/cluster/reconciler.ts';
import { WorkCounter } from '../../core/cluster/work/work-counter.ts';
import type { RecipeLoader } from '../../core/contracts/recipe.ts';
import type { CopyRecord } from '../../core/model/copy.ts';
import type { MachineRecord } from '../../core/model/machine.ts';
import { ClusterFixture } from '../decide/cluster-fixture.ts';
import { MemoryStore } from '../fakes/memory-store.ts';
import { QuickClock } from '../fakes/quick-clock.ts';
import { ReadyLink } from '../fakes/ready-link.ts';
import { silentLogger } from '../fakes/silent-logger.ts';
import { smallClusterSitter } from '../fakes/small-cluster-sitter.ts';
import { WillingProvider } from '../fakes/willing-provider.ts';
import { VirtualClock } from '../simulation/virtual-clock.ts';
import { eventually } from '../suites/eventually.ts';

const options = { source: 'test.yaml', dryRun: false, by: 'a test' };
const job = (more: string): string => `
task_configuration: {name: web, command: sleep 1, cpu: .5}
deployment_layout: {fake-a: {count: 1}}
update: {min_healthy: 0}
${more}`;

interface Under {
  sitter: ClusterSitter;
  store: MemoryStore;
  provider: WillingProvider;
  link: ReadyLink;
}

/** A whole cluster sitter, over machines that do as they are told. */
async function started(
  t: Test,
  settings: Record<string, unknown> = {},
  deps: Partial<ClusterSitterDeps> = {},
  before: (store: MemoryStore, provider: WillingProvider) => Promise<void> = async () => undefined,
): Promise<Under> {
  const [store, provider, link] = [new MemoryStore(), new WillingProvider(), new ReadyLink()];
  await before(store, provider);
  const sitter = smallClusterSitter(
    { store, providers: [provider], link: () => link, ...deps },
    { max_idle_per_zone: -1, ...settings },
  );
  await sitter.start();
  t.teardown(() => sitter.stop());
  return { sitter, store, provider, link };
}

t.test('news that never cease do not keep plans from being made', async (t) => {
  const clock = new VirtualClock(1_000_000);
  let plans = 0;
  const reconciler = new Reconciler({
    records: { transact: async (build: () => unknown) => void build() },
    executor: { start: () => undefined },
    work: new WorkCounter(),
    clock,
    logger: silentLogger,
    snapshot: (now: number) => ({ ...new ClusterFixture().snapshot(), now }),
    plan: () => {
      plans += 1;
      return { actions: [], complaints: [], wakeAt: null };
    },
  } as unknown as ReconcilerDeps);
  reconciler.start();
  const news = (): void => {
    reconciler.poke();
    clock.timer(1, news);
  };
  news();
  await clock.runUntil(clock.now() + 1000, () => false);
  t.ok(plans >= 50, `${plans} plans in a second of news`);
  await reconciler.stop();
});

t.test('machines that take their time to end hold up no order of another', async (t) => {
  let letGo = (): void => undefined;
  const { sitter, provider } = await started(t, {}, {}, async (store, provider) => {
    provider.mayEnd = new Promise((resolve) => {
      letGo = resolve;
    });
    const [record] = new ClusterFixture().machine('fake-a-1', { state: 'terminating' }).machines.values();
    const write = Array.from({ length: 100 }, (_, n) => {
      const id = `fake-a-${n + 1}`;
      return { put: `machine/${id}`, value: { ...record, id, zone: 'fake-a' } as MachineRecord };
    });
    await store.commit({ write: [...write, { put: 'serial/fake-a', value: 101 }] });
  });
  t.teardown(() => letGo());
  await sitter.api.apply(job(''), options);
  await eventually(() => provider.orders.length === 1, 'a machine is ordered while a hundred are being ended');
  t.same(provider.ended, []);
  letGo();
  await eventually(() => provider.ended.length === 100, 'and those are ended, some at a time');
});

/** Recipes that are recorded; those of `hangs` run until they are broken off. */
function recorder(runs: string[], hangs: string): RecipeLoader {
  return {
    name: 'recorder',
    start: async () => undefined,
    stop: async () => undefined,
    load: async () => (context) => ({
      runDeploy: async () => {
        runs.push(context.version ?? '');
        if (context.version === hangs) await new Promise(() => undefined);
      },
    }),
  };
}

t.test(
  'a deployment of a version that nobody wants any more is broken off, and what it may have touched is deployed again',
  async (t) => {
    const runs: string[] = [];
    const { sitter, store, link } = await started(t, {}, { recipeLoaders: [recorder(runs, 'two')] });
    await sitter.api.apply(job('deployment_recipe: any\nversion: one'), options);
    await eventually(() => link.given.length === 1, 'the first is deployed');
    await eventually(() => sitter.api.job('web').rollout === null, 'and rolled out');
    const copy = async (): Promise<CopyRecord> => (await store.get('copy/web.1'))?.value as CopyRecord;
    t.equal((await copy()).recipeVersion, 1);
    await sitter.api.apply(job('deployment_recipe: any\nversion: two'), options);
    await eventually(() => runs.includes('two'), 'the second is on its way');
    t.match(
      await copy(),
      { version: 2, recipeVersion: null },
      'the machine stands between two versions, and the record says so',
    );
    await sitter.api.rollBack('web', 1, 'a test');
    await eventually(
      () => runs.filter((run) => run === 'one').length === 2,
      'it is broken off, and the first one runs again',
    );
    await eventually(async () => (await copy()).recipeVersion === 1, 'which is what the machine has');
  },
);

t.test('an instance that came late is ended once, and told of once', async (t) => {
  const orphan = {
    ref: 'i-late',
    machineId: 'fake-a-3',
    zone: 'fake-a',
    intent: 'of-before',
    state: 'running' as const,
    address: null,
    endpoint: null,
  };
  const { sitter, provider } = await started(t, { orphan_grace: 0 }, {}, async (store, provider) => {
    await store.commit({ write: [{ put: 'serial/fake-a', value: 4 }] });
    provider.others.push({ ...orphan, clusterId: 'any' });
  });
  await eventually(() => provider.ended.includes('fake-a-3'), 'it is ended');
  // Whatever makes plans now, before the provider's next list.
  for (let n = 0; n < 10; n++) {
    await sitter.api.setIdleLimit(n, null, 'a test');
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  t.same(provider.ended, ['fake-a-3']);
  const told = (await sitter.api.events({ since: 0 })).filter(({ kind }) => kind === 'orphan-ended');
  t.match(told, [
    { message: /i-late in fake-a bore this cluster's tag as fake-a-3, which no record knows: it was ended/ },
  ]);
});

t.test('an instance with our tag that this store never ordered is alerted of, explained, and not ended', async (t) => {
  const { sitter, provider, store } = await started(t, { orphan_grace: 0 }, {}, async (_store, provider) => {
    provider.others.push({
      ref: 'i-strange',
      clusterId: 'any',
      machineId: 'fake-a-1',
      zone: 'fake-a',
      intent: 'of-another-store',
      state: 'running',
      address: null,
      endpoint: null,
    });
  });
  await sitter.api.apply(job(''), options);
  await eventually(
    () => sitter.api.machines().some(({ state }) => state === 'ready'),
    'a machine of our own comes beside it',
  );
  t.same(
    provider.orders.map(({ machineId }) => machineId),
    ['fake-a-2'],
    'under another name',
  );
  t.equal((await store.get('stranger/fake-a-1'))?.value, 'i-strange');
  t.ok(
    sitter.api
      .status()
      .attention.some((sentence) => /fake-a-1 \(i-strange\).*left alone: cerebro adopt/.test(sentence)),
  );
  await eventually(() => sitter.api.alerts().some(({ key }) => key === 'stranger/fake-a'), 'people are alerted');
  t.same(provider.ended, []);
});

t.test('what keeps a zone from having machines stands in the explanation of each job that waits there', async (t) => {
  const { sitter } = await started(t, { max_machines: { 'fake-a': 0 } });
  await sitter.api.apply(job(''), options);
  await eventually(() => sitter.api.status().attention.length > 0, 'it is known');
  const { sentences } = await sitter.api.explain('web');
  t.ok(
    sentences.some((sentence) => /1 copy waits for a machine in fake-a.*max_machines/.test(sentence)),
    sentences.join('; '),
  );
});

t.test('a certificate that nears its end is alerted of', async (t) => {
  const clock = new QuickClock(20);
  const store = new MemoryStore();
  const real = new CertificateAuthority({ store, clock, lifetimeMs: 3_600_000 });
  const authority: Authority = {
    lifetimeMs: real.lifetimeMs,
    issue: (id) => real.issue(id),
    issueForClusterSitter: () => real.issueForClusterSitter(),
    issueForDoor: () => real.issueForDoor(),
    end: async () => clock.now() + 24 * 3_600_000,
  };
  const { sitter } = await started(t, {}, { clock, authority });
  await eventually(() => sitter.api.alerts().some(({ key }) => key === 'certificate/authority'), 'people are alerted');
  t.match(sitter.api.alerts(), [{ sentence: /the cluster's authority ends on/, level: 'error' }]);
  t.ok(sitter.api.status().attention.some((sentence) => sentence.includes("the cluster's authority ends on")));
});
