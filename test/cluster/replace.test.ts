import t, { type Test } from 'tap';
import type { ClusterSitter } from '../../core/cluster/cluster-sitter.ts';
import type { MachineRecord } from '../../core/model/machine.ts';
import { MemoryStore } from '../fakes/memory-store.ts';
import { smallClusterSitter } from '../fakes/small-cluster-sitter.ts';
import { StubbornProvider } from '../fakes/stubborn-provider.ts';
import { eventually } from '../suites/eventually.ts';

/** Delivers nothing, and says of some of what was ordered that it is gone. */
class VanishingProvider extends StubbornProvider {
  readonly gone = new Set<string>();

  override async describe(): ReturnType<StubbornProvider['describe']> {
    const instances = await super.describe();
    return instances.map((each) => (this.gone.has(each.machineId) ? { ...each, state: 'gone' as const } : each));
  }

  override onChange(listener?: () => void): void {
    this.tell = listener ?? this.tell;
  }

  tell: () => void = () => undefined;
}

function sitterOver(store: MemoryStore, provider: VanishingProvider): ClusterSitter {
  return smallClusterSitter({ store, providers: [provider] }, { max_idle_per_zone: -1 });
}

/** A cluster with the one machine fake-a-1, which is in whatever state a test wants. */
async function withOneMachine(
  t: Test,
  store: MemoryStore,
): Promise<{ sitter: ClusterSitter; be(state: MachineRecord['state']): Promise<void> }> {
  const sitter = sitterOver(store, new VanishingProvider());
  await sitter.start();
  t.teardown(() => sitter.stop());
  await sitter.api.apply(
    'task_configuration: {name: one, command: x, cpu: 1}\ndeployment_layout: {fake-a: {count: 1}}',
    { source: 'test.yaml', dryRun: false, by: 'a test' },
  );
  await eventually(() => sitter.api.machines().some(({ state }) => state === 'booting'), 'it is had');
  return {
    sitter,
    be: async (state) => {
      const entry = await store.get('machine/fake-a-1');
      const value = { ...(entry?.value as MachineRecord), state };
      await store.commit({ write: [{ put: 'machine/fake-a-1', value }] });
      await eventually(() => sitter.api.machine('fake-a-1').state === state, state);
    },
  };
}

t.test('a replacement that is lost gives the machine back what it took from it, and no more', async (t) => {
  const store = new MemoryStore();
  const provider = new VanishingProvider();
  const sitter = sitterOver(store, provider);
  await sitter.start();
  t.teardown(() => sitter.stop());
  await sitter.api.apply(
    'task_configuration: {name: one, command: x, cpu: 1}\ndeployment_layout: {fake-a: {count: 2}}',
    {
      source: 'test.yaml',
      dryRun: false,
      by: 'a test',
    },
  );
  await eventually(() => sitter.api.machines().filter(({ state }) => state === 'booting').length === 2, 'both are had');
  const old = ['fake-a-1', 'fake-a-2'];
  for (const id of old) {
    const entry = await store.get(`machine/${id}`);
    await store.commit({
      write: [{ put: `machine/${id}`, value: { ...(entry?.value as MachineRecord), state: 'ready' } }],
    });
  }
  await sitter.api.cordonMachine('fake-a-2', true, 'a person');
  for (const id of old) t.ok(await sitter.api.replaceMachine(id, 'a person'));
  t.ok(old.every((id) => sitter.api.machine(id).cordoned));
  await t.rejects(sitter.api.replaceMachine('fake-a-1', 'a person'), { code: 'conflict' });
  await eventually(
    () => sitter.api.machines().filter(({ state }) => state === 'booting').length === 2,
    'so are the new ones',
  );
  for (const { id } of sitter.api.machines()) if (!old.includes(id)) provider.gone.add(id);
  provider.tell();
  await eventually(
    async () => (await sitter.api.events({ since: 0 })).some(({ kind }) => kind === 'machine-uncordoned'),
    'it is said',
  );
  t.equal(sitter.api.machine('fake-a-1').cordoned, false);
  t.equal(sitter.api.machine('fake-a-2').cordoned, true, 'a cordon of a person’s own stays');
});

t.test('a machine that is being drained can be replaced, as the advice for one that fell silent says', async (t) => {
  const store = new MemoryStore();
  const { sitter, be } = await withOneMachine(t, store);
  await be('booting');
  await t.rejects(sitter.api.replaceMachine('fake-a-1', 'a person'), { code: 'conflict', message: /is booting/ });
  await be('draining');
  const fresh = await sitter.api.replaceMachine('fake-a-1', 'a person');
  t.match(sitter.api.machine(fresh), { state: /requested|booting/ });
  t.match(sitter.api.machine('fake-a-1'), { state: 'draining', cordoned: false });
});

t.test('a replacement is not given the name of an instance that this store never ordered', async (t) => {
  const store = new MemoryStore();
  await store.commit({ write: [{ put: 'stranger/fake-a-2', value: 'i-2' }] });
  const { sitter, be } = await withOneMachine(t, store);
  await be('ready');
  t.equal(await sitter.api.replaceMachine('fake-a-1', 'a person'), 'fake-a-3');
});
