import t from 'tap';
import { applyPlan } from '../../core/cluster/records/apply-plan.ts';
import { dueEffects } from '../../core/decide/plan/due-effects.ts';
import { countingOn } from '../../core/decide/plan/found-tasks.ts';
import { planCluster } from '../../core/decide/plan/plan-cluster.ts';
import type { CopyRecord } from '../../core/model/copy.ts';
import type { MachineRecord } from '../../core/model/machine.ts';
import type { ClusterSnapshot, Orphan } from '../../core/model/plan.ts';
import { type TaskDefinition, taskDefinition } from '../../core/model/task.ts';
import { ClusterFixture, NOW } from './cluster-fixture.ts';

const found = (id: string, more: { version?: number; command?: string; generation?: number } = {}): TaskDefinition => {
  const name = id.slice(0, id.lastIndexOf('.'));
  const { version = 7, command = 'sleep 1', generation = 3 } = more;
  const configuration = { name, command, cpu: 1, mem: 100 };
  return taskDefinition.parse({ id, job: name, version, generation, configuration });
};

const adopted = (...tasks: TaskDefinition[]): Partial<MachineRecord> => ({ state: 'ready', found: tasks });

t.test(
  'a task of a job that is there is its copy, with the versions that it runs with; nothing else is planned before',
  (t) => {
    const fixture = new ClusterFixture().job('web', { 'local-a': 2 }, { version: 7 });
    fixture.machine('local-a-1', adopted(found('web.4'), found('other.1')));
    const plan = planCluster(fixture.snapshot());
    t.match(plan.actions, [
      { kind: 'take-copy', copy: 'web.4', machine: 'local-a-1', version: 7, generation: 3, restart: false },
    ]);
    t.equal(plan.actions.length, 1);
    const { write } = applyPlan(plan, { ...fixture, versions: new Map() }, NOW);
    const values = new Map(write.map((each) => ('put' in each ? [each.put, each.value] : [each.delete, null])));
    t.match(values.get('copy/web.4'), {
      version: 7,
      taskVersion: 7,
      recipeVersion: 7,
      generation: 3,
      taskGeneration: 3,
    });
    t.match(values.get('job/web'), { nextSerial: 5 });
    t.same(
      (values.get('machine/local-a-1') as MachineRecord).found?.map(({ id }) => id),
      ['other.1'],
    );

    // With it, only what is missing beside it is placed.
    fixture.copies.set('web.4', values.get('copy/web.4') as CopyRecord);
    fixture.machine('local-a-1', adopted(found('other.1')));
    fixture.jobIs('web', { nextSerial: 5 });
    t.match(
      planCluster(fixture.snapshot()).actions.filter(({ kind }) => kind !== 'order-machine'),
      [{ kind: 'place-copy', copy: 'web.5' }],
    );
    t.end();
  },
);

t.test(
  'one that is defined otherwise is an older version, and restarted where its number means something else by now',
  (t) => {
    const fixture = new ClusterFixture().job('web', { 'local-a': 2 }, { version: 7 });
    fixture.machine(
      'local-a-1',
      adopted(found('web.1', { version: 6, command: 'sleep 2' }), found('web.2', { command: 'sleep 3' })),
    );
    t.match(planCluster(fixture.snapshot()).actions, [
      { copy: 'web.1', version: 6, restart: false },
      { copy: 'web.2', version: 7, restart: true },
    ]);
    t.end();
  },
);

t.test('what is nobody’s runs on, takes its room and keeps its machine', (t) => {
  const fixture = new ClusterFixture().job('web', { 'local-a': 1 });
  fixture.limits = { ...fixture.limits, maxIdle: () => 0 };
  fixture.machine('local-a-1', adopted(found('other.1'), found('other.2')));
  fixture.contacts
    .get('local-a-1')
    ?.tasks.set('other.1', {} as never)
    .set('stray.1', {} as never);
  const snapshot = fixture.snapshot();
  const { actions } = planCluster(snapshot);
  t.match(actions, [{ kind: 'order-machine' }, { kind: 'place-copy', copy: 'web.1', machine: 'local-a-2' }]);
  t.same(
    dueEffects(snapshot).effects.map((effect) => ('task' in effect ? effect.task : effect.kind)),
    ['stray.1'],
  );
  t.end();
});

t.test('what cannot be a copy is left: another has its name, its job is stopped, or runs by turns', (t) => {
  const fixture = new ClusterFixture().job('web', { 'local-a': 1 }).job('off', { 'local-a': 1 });
  fixture.job('nightly', { 'local-a': 1 }, { task: { allow_exit: true }, spec: { schedule: { cron: '0 0 * * *' } } });
  fixture.jobIs('off', { stopped: true }).jobIs('nightly', { scheduledUntil: NOW });
  fixture.machine('local-a-1').copy('web.1', 'local-a-1');
  fixture.machine('local-a-2', adopted(found('web.1'), found('off.1'), found('nightly.1'), found('no-copy')));
  t.same(planCluster(fixture.snapshot()).actions, []);
  t.end();
});

t.test('a job that comes back goes on counting where its copies are', (t) => {
  const machine = (...tasks: TaskDefinition[]): MachineRecord[] => {
    const fixture = new ClusterFixture().machine('local-a-1', adopted(...tasks));
    return [...fixture.machines.values()];
  };
  const spec = new ClusterFixture().job('web', { 'local-a': 1 }).jobs.get('web')?.spec;
  if (!spec) throw new Error('the fixture has made no job');
  t.equal(countingOn(machine(found('other.9')), spec), null);
  t.same(countingOn(machine(found('web.9'), found('web.2', { version: 9, command: 'other' })), spec), {
    version: 7,
    lastVersion: 9,
    nextSerial: 10,
  });
  t.same(countingOn(machine(found('web.2', { command: 'other' })), spec), {
    version: 8,
    lastVersion: 8,
    nextSerial: 3,
  });
  t.end();
});

t.test('an adopted machine is given a certificate until its sitter answers, and is not ended when it does not', (t) => {
  const fixture = new ClusterFixture().machine('local-a-1', {
    state: 'deploying',
    stateSince: NOW - 1000,
    createdAt: NOW - 1000,
  });
  const contact = fixture.contacts.get('local-a-1');
  if (!contact) throw new Error('the fixture has made no contact');
  fixture.contacts.set('local-a-1', { ...contact, connected: false });
  t.match(dueEffects(fixture.snapshot()).effects, [{ kind: 'give-identity' }]);
  t.same(planCluster(fixture.snapshot()).actions, []);
  fixture.now = NOW + 400_000;
  const late = planCluster(fixture.snapshot());
  t.same(late.actions, []);
  t.match(late.complaints, [{ alert: 'machine/local-a-1', sentence: /is to be adopted.*cerebro drain local-a-1/ }]);
  fixture.contacts.set('local-a-1', { ...contact, connected: true });
  t.match(planCluster(fixture.snapshot()).actions, [{ kind: 'machine-state', to: 'ready' }]);
  t.same(dueEffects(fixture.snapshot()).effects, []);
  t.end();
});

const orphan = (machineId: string): [string, Orphan] => [
  machineId,
  { machineId, provider: 'local', zone: 'local-a', ref: `i-${machineId}`, since: NOW - 3_600_000 },
];

t.test(
  'an instance with our tag that this store never ordered is left alone, for ever; one that it did order is ended',
  (t) => {
    const fixture = new ClusterFixture().machine('local-a-2').job('web', { 'local-a': 3 });
    const snapshot: ClusterSnapshot = {
      ...fixture.snapshot(),
      orphans: new Map([orphan('local-a-1'), orphan('local-a-3'), orphan('elsewhere')]),
    };
    t.same(
      dueEffects(snapshot).effects.map(({ key }) => key),
      ['orphan/local-a-1'],
    );
    const plan = planCluster(snapshot);
    t.match(
      plan.actions.filter(({ kind }) => kind === 'note-stranger'),
      [{ machine: 'local-a-3' }, { machine: 'elsewhere' }],
    );
    t.match(plan.complaints, [{ sentence: /local-a-3.*is left alone.*cerebro adopt/, alert: 'stranger/local-a' }, {}]);
    t.match(
      plan.actions.filter(({ kind }) => kind === 'order-machine'),
      [{ machine: 'local-a-4' }],
      'its name is not given to another',
    );
    // Its provider does not answer now; what was seen once is remembered.
    const unseen: ClusterSnapshot = {
      ...snapshot,
      orphans: new Map(),
      strangers: new Map([['local-a-3', 'i']]),
    };
    t.match(
      planCluster(unseen).actions.filter(({ kind }) => kind === 'order-machine'),
      [{ machine: 'local-a-4' }],
      'nor while nobody sees it',
    );
    // Our numbers have passed it by now.
    const later = { ...snapshot, machineSerial: () => 5, strangers: new Map([['local-a-3', 'i']]) };
    t.same(
      dueEffects(later).effects.map(({ key }) => key),
      ['orphan/local-a-1'],
    );
    // Where numbers up to 4 came by an adoption, what comes into sight later was not one of ours either.
    t.same(dueEffects({ ...later, adoptedBelow: new Map([['local-a', 4]]) }).effects, []);
    t.end();
  },
);
