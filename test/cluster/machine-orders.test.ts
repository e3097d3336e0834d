import t from 'tap';
import { MachineOrders } from '../../core/cluster/orders/machine-orders.ts';
import { ClusterRecords } from '../../core/cluster/records/cluster-records.ts';
import { SystemClock } from '../../core/engine/system-clock.ts';
import type { MachineRecord } from '../../core/model/machine.ts';
import { ClusterFixture } from '../decide/cluster-fixture.ts';
import { MemoryStore } from '../fakes/memory-store.ts';

t.test(
  'a drain that is cancelled gives a machine back as it was: one that nobody has heard is not ready',
  async (t) => {
    const store = new MemoryStore();
    const clock = new SystemClock();
    const fixture = new ClusterFixture().machine('local-a-1', { state: 'deploying' }).machine('local-a-2');
    for (const [id, value] of fixture.machines) await store.commit({ write: [{ put: `machine/${id}`, value }] });
    const records = new ClusterRecords(store, clock);
    await records.load();
    t.teardown(() => records.close());
    let orders = 0;
    const onOrder = (): void => {
      orders += 1;
    };
    const machines = new MachineOrders({ records, clock, onOrder, providers: new Map(), drainDeadline: 0 });
    const state = (id: string): MachineRecord['state'] | undefined => records.machines.get(id)?.state;

    for (const id of fixture.machines.keys()) await machines.drain(id, 'a person');
    t.same([state('local-a-1'), state('local-a-2')], ['draining', 'draining']);
    for (const id of fixture.machines.keys()) await machines.cancelDrain(id, 'a person');
    t.same([state('local-a-1'), state('local-a-2')], ['deploying', 'ready']);
    t.equal(records.machines.get('local-a-1')?.unheard, undefined);
    t.equal(orders, 4);

    // It is ready by now: from here on it is as any other.
    await records.transact(() => {
      const machine = machines.record('local-a-1');
      return { write: [{ put: 'machine/local-a-1', value: { ...machine, state: 'ready' } }], events: [] };
    });
    await machines.drain('local-a-1', 'a person');
    await machines.cancelDrain('local-a-1', 'a person');
    t.equal(state('local-a-1'), 'ready');
  },
);
