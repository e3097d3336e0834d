import t from 'tap';
import { applyPlan } from '../../core/cluster/records/apply-plan.ts';
import { ClusterViews } from '../../core/cluster/views/cluster-views.ts';
import type { Clock } from '../../core/contracts/clock.ts';
import { planCluster } from '../../core/decide/plan/plan-cluster.ts';
import type { CopyRecord } from '../../core/model/copy.ts';
import type { ClusterEvent, NewEvent } from '../../core/model/event.ts';
import type { ClusterSnapshot } from '../../core/model/plan.ts';
import type { Progress } from '../../core/model/progress.ts';
import type { TaskStatus } from '../../core/model/task.ts';
import { ClusterFixture, NOW } from '../decide/cluster-fixture.ts';

interface More {
  snapshot?: Partial<ClusterSnapshot>;
  progress?: Progress;
  events?: ClusterEvent[];
}

/** A cluster that was planned for once. */
function views(fixture: ClusterFixture, more: More = {}): ClusterViews {
  const snapshot = { ...fixture.snapshot(), ...more.snapshot };
  const clock = { now: () => NOW, monotonic: () => 0 } as unknown as Clock;
  const { jobs, machines, copies, contacts } = fixture;
  return new ClusterViews({
    records: { jobs, machines, copies, events: more.events ?? [] } as never,
    contacts: contacts as never,
    clock,
    snapshot: () => snapshot,
    progress: { machine: () => more.progress ?? null, copy: () => null } as never,
    complaints: () => planCluster(snapshot).complaints,
  });
}

/** Each sentence is read as its user would, at night: why, and what comes next. */
const says = (what: string, fixture: ClusterFixture, about: string, sentences: string[], more: More = {}): void => {
  t.test(what, async (t) => {
    t.same(views(fixture, more).explain(about).sentences, sentences);
  });
};

const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString();
const web = (count = 1, more: Parameters<ClusterFixture['job']>[2] = {}): ClusterFixture =>
  new ClusterFixture().job('web', { 'local-a': count }, more);
const lastEnd = (reason: string, sentence: string): TaskStatus['lastEnd'] =>
  ({ reason, sentence, endedAt: ago(1) }) as TaskStatus['lastEnd'];
const unbegun = { taskVersion: null, recipeVersion: null };

/* Copies that have no machine yet: their job says why. */

says('no machine is large enough', web(1, { task: { cpu: 9 } }), 'web', [
  'local-a: 0 of 1 copy is ready',
  'a copy of "web" needs 9 cores and 100 MB; no machine type of local-a is that large: small (2 cores, 2048 MB), large (8 cores, 16384 MB); it waits until the job asks for less, or the zone sells a larger one',
]);

says('no machine is of the kind', web(1, { spec: { place: { machine: { disk: 'ssd' } } } }), 'web', [
  'local-a: 0 of 1 copy is ready',
  '"web" wants machines that are disk=ssd; local-a has small, large; its copies wait until such a machine can be had',
]);

says(
  'the zone sells nothing',
  web(),
  'web',
  [
    'local-a: 0 of 1 copy is ready',
    'a copy of "web" waits for a machine in local-a, where none is to be had: no key is accepted; one is ordered as soon as that changes',
  ],
  { snapshot: { types: () => [], complaint: () => 'no key is accepted' } },
);

says(
  'every size is sold out',
  web(),
  'web',
  [
    'local-a: 0 of 1 copy is ready',
    'a copy of "web" waits for small, large, of which local-a has none just now; it is asked for again every few minutes',
  ],
  { snapshot: { soldOut: new Map(['small', 'large'].map((size) => [`local-a/${size}`, NOW + 60_000])) } },
);

const limited = (limits: Partial<ClusterFixture['limits']>): ClusterFixture => {
  const fixture = web(2, { task: { cpu: 2 } })
    .machine('local-a-1', { price: 0.5 })
    .copy('web.1', 'local-a-1');
  fixture.limits = { ...fixture.limits, ...limits };
  return fixture;
};

says('max_machines', limited({ maxMachines: () => 1 }), 'web', [
  'local-a: 1 of 2 copies are ready',
  '1 copy waits for a machine in local-a, which has 1 and may have 1 (max_machines): room there, or a higher limit, is waited for',
]);

says(
  'spend_ceiling',
  limited({ maxSpend: () => 0.75 }),
  'web',
  [
    'local-a: 1 of 2 copies are ready',
    '1 copy waits for a machine in local-a: with one more small it would cost 1 an hour, and may cost 0.75 (spend_ceiling): room there, or a higher ceiling, is waited for',
  ],
  { snapshot: { types: () => [{ name: 'small', cpu: 2, mem: 2048, price: 0.5 }] } },
);

says('stopped by somebody', web().jobIs('web', { stopped: true }), 'web', [
  'local-a: 0 of 1 copy is ready',
  'it was stopped; it is started again by: cerebro start "web"',
]);

says(
  'between its times',
  web(1, { task: { allow_exit: true }, spec: { schedule: '0 13 * * *' } }).jobIs('web', { scheduledUntil: NOW }),
  'web',
  ['local-a: 0 of 1 copy is ready', 'it runs by turns; its next run begins at 2026-01-01T13:00:00.000Z'],
);

says('a follower whose leader is nowhere', web(0).job('log', {}, { spec: { linked_job: 'web' } }), 'log', [
  'it follows "web", which has no copies; it comes to each machine that one comes to',
]);

says(
  'a follower for which there is no room',
  web()
    .job('log', {}, { task: { cpu: 2 }, spec: { linked_job: 'web' } })
    .machine('local-a-1')
    .copy('web.1', 'local-a-1'),
  'log',
  [
    '"log" is to follow "web" on local-a-1, but needs 2 cores and 100 MB and 1 and 1948 are free; it is started when there is room',
  ],
);

/* Copies that wait for their machine. */

const coming = (state: 'requested' | 'booting' | 'deploying', change = {}): ClusterFixture =>
  web()
    .machine('local-a-1', { state, endpoint: null, createdAt: NOW - 60_000, stateSince: NOW - 60_000, ...change })
    .copy('web.1', 'local-a-1', unbegun, null)
    .silent('local-a-1', 3600);

says('its machine is ordered', coming('requested', { ref: null }), 'web.1', [
  'web.1 on local-a-1 is placed: waits for machine local-a-1, which is requested; it is begun when local-a-1 is ready',
]);

says(
  'its order fails',
  coming('requested', { ref: null, lastError: 'EC2 does not answer', attempts: 2, nextAttemptAt: NOW + 5000 }),
  'web.1',
  [
    'web.1 on local-a-1 is failing: waits for machine local-a-1, which is requested: EC2 does not answer, 2nd try, the next at 12:00:05 UTC',
  ],
);

says(
  'its machine boots',
  coming('booting'),
  'web.1',
  [
    'web.1 on local-a-1 is placed: waits for machine local-a-1, which is booting: Node is brought there: 40 %; it is begun when local-a-1 is ready; another is ordered if that is not so by 12:04:00 UTC',
  ],
  { progress: { step: 'Node is brought there', percent: 40, failure: null } },
);

says('its machine is being adopted', coming('deploying'), 'web.1', [
  'web.1 on local-a-1 is placed: waits for machine local-a-1, which is deploying; it is begun when local-a-1, which is being adopted, is ready',
]);

/* Copies that wait on their machine. */

const placed = (change: Parameters<ClusterFixture['copy']>[2] = {}): ClusterFixture =>
  web()
    .machine('local-a-1')
    .copy('web.1', 'local-a-1', { ...unbegun, ...change }, null);

says('its recipe runs', placed(), 'web.1', [
  'web.1 on local-a-1 is deploying: its recipe runs on local-a-1; it is started when that has ended',
]);

says('it is being handed over', placed({ recipeVersion: 1 }), 'web.1', [
  'web.1 on local-a-1 is starting: being given to local-a-1; it runs when local-a-1 has taken it',
]);

says(
  'its deployment has failed',
  placed({ lastError: 'tar exited with code 2', attempts: 3, nextAttemptAt: NOW + 8000 }),
  'web.1',
  ['web.1 on local-a-1 is failing: tar exited with code 2, 3rd try, the next at 12:00:08 UTC'],
);

says('its machine is out of touch for a moment', placed().silent('local-a-1', 5), 'web.1', [
  'web.1 on local-a-1 is placed: waits for machine local-a-1, which is not heard just now; it is begun when that is, and elsewhere if local-a-1 is silent until 12:00:25 UTC',
]);

says(
  'it waits for its leader',
  web()
    .job('log', {}, { spec: { linked_job: 'web' } })
    .machine('local-a-1')
    .copy('web.1', 'local-a-1', unbegun, null)
    .copy('log.1', 'local-a-1', unbegun, null),
  'log.1',
  [
    'log.1 on local-a-1 is placed: waits for "web" on local-a-1, which is not ready there yet; it is started when all of "web" there are ready',
  ],
);

const named = { snapshot: { dnsHolds: new Map([['web.1', NOW + 60_000]]) } };

says(
  'its update is held by its names',
  web(1, { version: 2 }).machine('local-a-1').copy('web.1', 'local-a-1', { taskVersion: 1, recipeVersion: 1 }),
  'web.1',
  [
    'web.1 on local-a-1 is placed: waits with version 2 until nobody can be led to version 1 by name any more; by 12:01:00 UTC at the latest',
  ],
  named,
);

says(
  'its restart is held by its names',
  web().machine('local-a-1').copy('web.1', 'local-a-1', { generation: 1 }),
  'web.1',
  [
    'web.1 on local-a-1 is starting: waits with its restart until nobody can be led to it by name any more; by 12:01:00 UTC at the latest',
  ],
  named,
);

says('its machine has not reported it', web().machine('local-a-1').copy('web.1', 'local-a-1', {}, null), 'web.1', [
  'web.1 on local-a-1 is starting: waiting for machine local-a-1 to report it; local-a-1 is told again should it not know of it',
]);

/* Copies that run, and not well. */

const running = (task: Partial<TaskStatus>, more: object = {}): ClusterFixture =>
  web(1, { task: more }).machine('local-a-1').copy('web.1', 'local-a-1', {}, task);

says('it is being started', running({ phase: 'starting', reason: 'started for the first time' }), 'web.1', [
  'web.1 on local-a-1 is starting: started for the first time; its process is being started',
]);

says(
  'it pauses before it is started again',
  running({
    phase: 'backoff',
    reason: 'exited with code 1; will be started again in 8 s',
    nextStartAt: new Date(NOW + 3000).toISOString(),
  }),
  'web.1',
  [
    'web.1 on local-a-1 is failing: exited with code 1; will be started again in 8 s; the next start is at 12:00:03 UTC',
  ],
);

says(
  'it ends again and again',
  running({ flapping: true, restarts: 12, lastEnd: lastEnd('exit', 'exited with code 1') }),
  'web.1',
  [
    'web.1 on local-a-1 is failing: ends again and again: exited with code 1 (12 restarts); it counts as ready when it keeps running',
  ],
);

const check = { health_check: { tcp: 80 } };

says(
  'it has not been found well yet',
  running({ health: { state: 'starting', sentence: 'port 80: connection refused' } as never }, check),
  'web.1',
  [
    'web.1 on local-a-1 is starting: not well yet: port 80: connection refused; it is ready when that goes well, and is started again after 3 failures',
  ],
);

says(
  'it is unhealthy',
  running({ health: { state: 'unhealthy', sentence: 'health: port 80: no answer (3 of 3 failures)' } as never }, check),
  'web.1',
  ['web.1 on local-a-1 is failing: health: port 80: no answer (3 of 3 failures); it is ended, and started again'],
);

says('it is given up', running({ phase: 'failed', reason: 'exited with code 1' }), 'web.1', [
  'web.1 on local-a-1 is failing: exited with code 1; it is not started any more, until another version or: cerebro restart "web"',
]);

says('it has done its work', running({ phase: 'exited', reason: 'exited with code 0' }), 'web.1', [
  'web.1 on local-a-1 is completed: exited with code 0; it may exit, so it is not started again',
]);

says(
  'somebody stopped it on its machine',
  running({ phase: 'stopped', reason: 'stopped by ann', lastEnd: lastEnd('user', 'stopped by ann') }),
  'web.1',
  [
    'web.1 on local-a-1 is starting: stopped on its machine: stopped by ann; it stays so until somebody starts it: cerebro restart "web"',
  ],
);

says(
  'a singleton has ended itself while its machine was out of touch, and may go on',
  web(1, { spec: { singleton: true } })
    .machine('local-a-1')
    .copy('web.1', 'local-a-1', {}, { phase: 'stopped', reason: 'the leash is over', lastEnd: lastEnd('leash', '') }),
  'web.1',
  [
    'web.1 on local-a-1 is starting: stopped on its machine: the leash is over; it is started again, since its machine is heard',
  ],
);

says(
  'a follower whose leader is ready, and whose recipe runs',
  web()
    .job('log', {}, { spec: { linked_job: 'web' } })
    .machine('local-a-1')
    .copy('web.1', 'local-a-1')
    .copy('log.1', 'local-a-1', unbegun, null),
  'log.1',
  ['log.1 on local-a-1 is deploying: its recipe runs on local-a-1; it is started when that has ended'],
);

says(
  'it could not be ended yet, and names lead to it',
  web()
    .machine('local-a-1')
    .copy('web.1', 'local-a-1', {
      wanted: 'stop',
      reason: '"web" wants only 0',
      lastError: 'no answer',
      attempts: 2,
      nextAttemptAt: NOW + 5000,
    }),
  'web.1',
  [
    'web.1 on local-a-1 is stopping: "web" wants only 0; it could not be ended yet: no answer, 2nd try, the next at 12:00:05 UTC',
  ],
  { snapshot: { dnsHolds: new Map([['web.1', NOW + 60_000]]) } },
);

/* Copies whose machine is silent, or lost. */

says(
  'one that may not run twice is to stop, and its machine is lost',
  web(0, { spec: { singleton: true } })
    .machine('local-a-1', { state: 'lost', stateSince: NOW - 2000, reason: 'not heard for 30 s' })
    .copy('web.1', 'local-a-1', { wanted: 'stop', reason: '"web" wants only 0' })
    .silent('local-a-1', 32),
  'web.1',
  [
    'web.1 on local-a-1 is stopping: "web" wants only 0; it is forgotten at 12:00:13 UTC, when it has certainly ended itself (singleton)',
  ],
);

says('its machine is silent', web().machine('local-a-1').copy('web.1', 'local-a-1').silent('local-a-1', 12), 'web.1', [
  'web.1 on local-a-1 is unknown: machine local-a-1 has not been heard since 2026-01-01T11:59:48.000Z; local-a-1 is given up at 12:00:18 UTC if it is silent until then',
]);

says(
  'the brake holds',
  web(2)
    .machine('local-a-1')
    .machine('local-a-2')
    .copy('web.1', 'local-a-1')
    .copy('web.2', 'local-a-2')
    .silent('local-a-1', 40)
    .silent('local-a-2', 40),
  'web.1',
  [
    'web.1 on local-a-1 is unknown: machine local-a-1 has not been heard since 2026-01-01T11:59:20.000Z; local-a-1 is not replaced: 2 of 2 machines of local-a are or were silent at once, which looks like the network and not like machines; it is waited for. If it is dead: cerebro replace local-a-1',
  ],
);

says(
  'a singleton waits for proof',
  web(1, { spec: { singleton: true } })
    .machine('local-a-1', { state: 'lost', stateSince: NOW - 2000, reason: 'not heard for 30 s' })
    .machine('local-a-2')
    .copy('web.1', 'local-a-1')
    .silent('local-a-1', 32),
  'web.1',
  [
    'web.1 on local-a-1 is unknown: its machine local-a-1 is lost: not heard for 30 s; another is begun at 12:00:13 UTC, when it has certainly ended itself (singleton)',
  ],
);

says(
  'it did its part of a run on a machine that is lost',
  web(1, { task: { allow_exit: true } })
    .machine('local-a-1', { state: 'lost', reason: 'not heard for 30 s' })
    .copy('web.1', 'local-a-1', { run: 1, outcome: 'completed' }),
  'web.1',
  [
    'web.1 on local-a-1 is unknown: its machine local-a-1 is lost: not heard for 30 s; its part of the run is done, and is not begun again',
  ],
);

/* Copies that are to end. */

const stopping = (change: object = {}): ClusterFixture =>
  web(0)
    .machine('local-a-1')
    .copy('web.1', 'local-a-1', { wanted: 'stop', reason: '"web" wants only 0 in local-a', ...change });

says('it is being ended', stopping(), 'web.1', [
  'web.1 on local-a-1 is stopping: "web" wants only 0 in local-a; it has 10 s to end, and is killed then',
]);

says(
  'its end is held by its names',
  stopping(),
  'web.1',
  [
    'web.1 on local-a-1 is stopping: "web" wants only 0 in local-a; it goes on until nobody can be led to it by name any more; by 12:01:00 UTC at the latest',
  ],
  named,
);

says('its machine cannot be told', stopping().silent('local-a-1', 5), 'web.1', [
  'web.1 on local-a-1 is stopping: "web" wants only 0 in local-a; it is ended when local-a-1 is heard again',
]);

says(
  'it could not be ended',
  stopping({ lastError: 'the machine refuses', attempts: 1, nextAttemptAt: NOW + 1000 }),
  'web.1',
  [
    'web.1 on local-a-1 is stopping: "web" wants only 0 in local-a; it could not be ended yet: the machine refuses, 1st try, the next at 12:00:01 UTC',
  ],
);

/* Roll-outs. */

const rolling = (change: object): ClusterFixture =>
  web(1, { version: 2 }).machine('local-a-1').copy('web.1', 'local-a-1', { version: 1 }).rolling('web', 60, change);

says('a roll-out goes on', rolling({}), 'web', [
  'local-a: 1 of 1 copy is ready',
  'version 2 is being rolled out, copy by copy as each is well',
]);

says('a roll-out is paused', rolling({ paused: true }), 'web', [
  'local-a: 1 of 1 copy is ready',
  'version 2 is being rolled out, and was paused: no more copies are given it until: cerebro rollout "web" resume',
]);

says('a roll-out has failed', rolling({ failed: 'web.1: exited with code 1' }), 'web', [
  'local-a: 1 of 1 copy is ready',
  'version 2 has failed: web.1: exited with code 1; no more copies are given it. Apply another version, or: cerebro rollback "web"',
]);

/* Machines. */

const alone = (change: object): ClusterFixture =>
  new ClusterFixture().machine('local-a-1', { createdAt: NOW - 60_000, stateSince: NOW - 60_000, ...change });

for (const [state, change, sentence] of [
  ['requested', {}, 'its provider has been asked for it'],
  ['booting', {}, 'it is given up if its sitter does not answer by 12:04:00 UTC'],
  ['deploying', {}, 'it is ready when its sitter answers with the certificate of this cluster'],
  ['ready', { cordoned: true }, 'it is given no more copies until: cerebro cordon local-a-1 --off'],
  ['ready', { cordoned: true, cordonedFor: 'local-a-2' }, 'it is emptied when local-a-2, which replaces it, is ready'],
  ['draining', {}, 'it is ended now'],
  ['terminating', {}, 'it is forgotten when its provider has ended it'],
  ['lost', {}, 'its provider is asked to end it until it has; should it come back, it is wiped'],
] as const)
  says(`a machine that is ${state}`, alone({ state, ...change }).silent('local-a-1', 0), 'local-a-1', [
    `local-a-1 (small) is ${state}: a test wants it; ${sentence}`,
  ]);

says(
  'a drain that may take days',
  web()
    .machine('local-a-1', { state: 'draining', drainUntil: NOW + 172_800_000, reason: 'drained by ann' })
    .copy('web.1', 'local-a-1'),
  'local-a-1',
  [
    'local-a-1 (small) is draining: drained by ann; it is ended when its copy is ready elsewhere, and at 2026-01-03 12:00:00 UTC at the latest',
    'web.1 on local-a-1 is ready: running',
  ],
);

says('a machine that serves has nothing before it', alone({}), 'local-a-1', [
  'local-a-1 (small) is ready: a test wants it',
]);

says('a machine that is silent', alone({}).machine('local-a-2').silent('local-a-1', 5), 'local-a-1', [
  'local-a-1 (small) is suspect: not heard since 2026-01-01T11:59:55.000Z; it is given up at 12:00:25 UTC if it is silent until then',
]);

says(
  'a machine that is being emptied',
  web()
    .machine('local-a-1', { state: 'draining', cordoned: true, drainUntil: NOW + 60_000, reason: 'drained by ann' })
    .machine('local-a-2')
    .copy('web.1', 'local-a-1'),
  'local-a-1',
  [
    'local-a-1 (small) is draining: drained by ann; it is ended when its copy is ready elsewhere, and at 12:01:00 UTC at the latest',
    'web.1 on local-a-1 is ready: running',
  ],
);

t.test(
  'from the loss of a machine to the copy that runs elsewhere: one timeline, however long it has run since',
  async (t) => {
    const fixture = web()
      .machine('local-a-1')
      .machine('local-a-2')
      .copy('web.1', 'local-a-1')
      .provider('local-a-1', 'gone');
    const { jobs, machines, copies } = fixture;
    const change = applyPlan(planCluster(fixture.snapshot()), { jobs, machines, copies, versions: new Map() }, NOW);
    const told: NewEvent[] = [
      { level: 'info', kind: 'machine-ready', message: 'local-a-2 is ready: long ago', machine: 'local-a-2' },
      { level: 'info', kind: 'task-running', message: 'web.1 runs', copy: 'web.1', job: 'web', machine: 'local-a-1' },
      ...change.events,
      ...Array.from({ length: 50 }, (_, n): NewEvent => {
        const message = `web.2 runs as pid 7 (run ${n + 1})`;
        return { level: 'info', kind: 'task-running', message, copy: 'web.2', job: 'web', machine: 'local-a-2' };
      }),
    ];
    const events = told.map((event, seq) => ({
      ...event,
      seq,
      // The plan was made from what was known a moment before its commit.
      at: new Date(seq < 2 ? NOW - 1000 : NOW + 5).toISOString(),
    }));
    for (const operation of change.write) {
      if ('put' in operation && operation.put === 'copy/web.2') copies.set('web.2', operation.value as CopyRecord);
    }
    const { timeline } = views(fixture, { events }).explain('web.2');
    t.equal(timeline.length, 20);
    t.same(
      timeline.slice(0, 4).map(({ message }) => message),
      [
        'web.1 runs',
        'local-a-1 is lost: the provider says that it is gone',
        'web.1 is gone: its machine local-a-1 is gone',
        'web.2 is placed on local-a-2: "web" wants 1 in local-a, in place of web.1 (its machine local-a-1 is gone)',
      ],
      'the causes stay at its beginning',
    );
    t.equal(timeline.at(-1)?.message, 'web.2 runs as pid 7 (run 50)');
  },
);
