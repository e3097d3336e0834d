import fc from 'fast-check';
import t from 'tap';
import { applyPlan } from '../../core/cluster/records/apply-plan.ts';
import { ClusterRecords, keys } from '../../core/cluster/records/cluster-records.ts';
import { planCluster } from '../../core/decide/plan/plan-cluster.ts';
import { copiesIn, jobSpec } from '../../core/model/job.ts';
import type { ClusterSnapshot } from '../../core/model/plan.ts';
import { MemoryStore } from '../fakes/memory-store.ts';
import { PLAIN_JOB } from '../fakes/plain-records.ts';
import { ClusterFixture, NOW, TYPES } from './cluster-fixture.ts';

const ZONES = ['local-a', 'local-b'];
const clock = { now: () => NOW, monotonic: () => 0, timer: () => ({ cancel: () => undefined }) };

const job = fc.record({
  counts: fc.dictionary(fc.constantFrom(...ZONES), fc.integer({ min: 0, max: 12 })),
  cpu: fc.constantFrom(0.1, 0.5, 1, 1.9, 3),
  mem: fc.constantFrom(64, 500, 2000, 4096),
  spread: fc.constantFrom('soft', 'none'),
});
const history = fc.array(fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), job), { minLength: 1, maxLength: 4 }), {
  minLength: 1,
  maxLength: 4,
});

/** Plans and writes until nothing is left to do; every machine that is ordered is up at once, and every copy that is stopped gone. */
async function settle(records: ClusterRecords, snapshot: () => ClusterSnapshot): Promise<number> {
  for (let passes = 0; passes < 30; passes++) {
    const plan = planCluster(snapshot());
    if (plan.actions.length === 0) return passes;
    await records.transact(() => applyPlan(plan, records, NOW));
    await records.transact(() => {
      const write = [...records.copies.values()]
        .filter(({ wanted }) => wanted === 'stop')
        .map(({ id }) => ({ delete: keys.copy(id) }));
      const ended = [...records.machines.values()]
        .filter(({ state }) => state === 'terminating')
        .map(({ id }) => ({ delete: keys.machine(id) }));
      return { write: [...write, ...ended], events: [] };
    });
  }
  throw new Error('the plan does not come to rest');
}

t.test(
  'whatever is asked for, one after the other: it comes to rest, everything wanted has a place, and no machine holds more than it has',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(history, async (steps) => {
        const records = new ClusterRecords(new MemoryStore(), clock);
        await records.load();
        const fixture = new ClusterFixture();
        const snapshot = (): ClusterSnapshot => ({
          ...fixture.snapshot(),
          jobs: records.jobs,
          machines: records.machines,
          copies: records.copies,
          machineSerial: (zone) => records.serials.get(zone) ?? 1,
        });
        const placedAt = new Map<string, string>();
        for (const step of steps) {
          await records.transact(() => ({
            events: [],
            write: step.map(([name, { counts, cpu, mem, spread }]) => {
              const spec = jobSpec.parse({
                task_configuration: { name, command: 'x', cpu, mem },
                deployment_layout: Object.fromEntries(Object.entries(counts).map(([zone, count]) => [zone, { count }])),
                place: { spread },
              });
              const before = records.jobs.get(name);
              const at = new Date(NOW).toISOString();
              return {
                put: keys.job(name),
                value: {
                  name,
                  slug: name,
                  version: 1,
                  ...PLAIN_JOB,
                  spec,
                  nextSerial: before?.nextSerial ?? 1,
                  state: 'active',
                  createdAt: at,
                  updatedAt: at,
                },
              };
            }),
          }));
          await settle(records, snapshot);
          check(records, placedAt);
        }
        records.close();
      }),
      { numRuns: 150, seed: 20_261_122 },
    );
    t.ok(true, '150 histories');
  },
);

function check(records: ClusterRecords, placedAt: Map<string, string>): void {
  for (const record of records.jobs.values()) {
    for (const zone of ZONES) {
      const wanted = record.spec.deployment_layout[zone] ? copiesIn(record.spec.deployment_layout[zone]) : 0;
      const have = [...records.copies.values()].filter((copy) => copy.job === record.name && copy.zone === zone).length;
      if (have !== wanted) throw new Error(`${record.name} has ${have} of ${wanted} copies in ${zone}`);
    }
  }
  for (const machine of records.machines.values()) {
    const copies = [...records.copies.values()].filter((copy) => copy.machine === machine.id);
    const cpu = copies.reduce((sum, copy) => sum + copy.cpu, 0);
    const mem = copies.reduce((sum, copy) => sum + copy.mem, 0);
    if (cpu > machine.cpu + 1e-3 || mem > machine.mem)
      throw new Error(`${machine.id} holds ${cpu} of ${machine.cpu} cores and ${mem} of ${machine.mem} MB`);
    if (copies.some((copy) => copy.zone !== machine.zone))
      throw new Error(`${machine.id} holds a copy of another zone`);
    if (!TYPES.some((type) => type.name === machine.type))
      throw new Error(`${machine.id} is of no type that is on sale`);
  }
  for (const copy of records.copies.values()) {
    const before = placedAt.get(copy.id);
    if (before !== undefined && before !== copy.machine)
      throw new Error(`${copy.id} moved from ${before} to ${copy.machine}`);
    placedAt.set(copy.id, copy.machine);
  }
}
