import t from 'tap';
import { planSentences } from '../../core/cluster/orders/plan-sentences.ts';
import { dueEffects } from '../../core/decide/plan/due-effects.ts';
import { planCluster } from '../../core/decide/plan/plan-cluster.ts';
import { ClusterFixture, NOW } from './cluster-fixture.ts';

const plan = (fixture: ClusterFixture): string[] => planSentences(planCluster(fixture.snapshot()));
const effects = (fixture: ClusterFixture): string[] =>
  dueEffects(fixture.snapshot()).effects.map(({ kind, key }) => `${kind} ${key}`);

/** `log` is linked to `web`; both run on one machine, each started beside the other's version 1. */
function pair(link: 'both' | 'follower' | 'none', versions: { web?: number; log?: number } = {}): ClusterFixture {
  const { web = 1, log = 1 } = versions;
  return new ClusterFixture()
    .job('web', { 'local-a': 1 }, { version: web, task: { cpu: 0.5 } })
    .job('log', {}, { version: log, task: { cpu: 0.1 }, spec: { linked_job: 'web', link_restart: link } })
    .machine('local-a-1')
    .copy('web.1', 'local-a-1', { linked: { log: 1 } })
    .copy('log.1', 'local-a-1', { linked: { web: 1 } });
}

t.test('nothing was updated: nothing restarts', async (t) => {
  for (const link of ['both', 'follower', 'none'] as const) t.same(plan(pair(link)), [], link);
});

t.test('the follower restarts when its leader was updated and is ready', async (t) => {
  const sentence = 'restart log.1: "web" was updated to version 2 beside it';
  t.same(plan(pair('both', { web: 2 })), [sentence]);
  t.same(plan(pair('follower', { web: 2 })), [sentence]);
  t.same(plan(pair('none', { web: 2 })), []);
});

t.test('the leader restarts when its follower was updated, where both are coupled', async (t) => {
  t.same(plan(pair('both', { log: 2 })), ['restart web.1: "log" was updated to version 2 beside it']);
  t.same(plan(pair('follower', { log: 2 })), []);
  t.same(plan(pair('none', { log: 2 })), []);
});

t.test('not before the other is ready with its new version', async (t) => {
  const fixture = pair('both', { web: 2 });
  fixture.copy('web.1', 'local-a-1', { linked: { log: 1 } }, { phase: 'starting' });
  t.same(plan(fixture), []);
});

t.test('a version that was rolled everywhere but here does not restart what is here', async (t) => {
  const fixture = pair('both', { web: 2 }).jobIs('web', {
    rollout: { to: 2, startedAt: NOW - 1000, paused: true, promoted: false, revertOf: null, failed: null },
  });
  fixture.copy('web.1', 'local-a-1', { version: 1, linked: { log: 1 } });
  t.same(plan(fixture), []);
});

t.test('a follower that is placed together with its leader knows with which version', async (t) => {
  const fixture = pair('both');
  fixture.copies.clear();
  const placed = planCluster(fixture.snapshot()).actions.filter(({ kind }) => kind === 'place-copy');
  t.match(placed, [{ job: 'web' }, { job: 'log', linked: { web: 1 } }]);
});

t.test('a follower is not started beside a leader of which one copy there is still being updated', async (t) => {
  const fixture = pair('both', { web: 2 });
  fixture.copy('web.2', 'local-a-1', { taskVersion: 1 }, { version: 1 });
  fixture.copy('log.1', 'local-a-1', { taskVersion: null }, null);
  t.same(effects(fixture), ['deploy-copy web.2']);
});

t.test('a follower that is restarted before its leader is updated restarts once more after it', async (t) => {
  const fixture = pair('both', { web: 2 })
    .jobIs('log', { restarts: 1 })
    .jobIs('web', { rollout: { to: 2, startedAt: NOW, paused: true, promoted: false, revertOf: null, failed: null } });
  fixture.copy('web.1', 'local-a-1', { version: 1, linked: { log: 1 } });
  t.match(planCluster(fixture.snapshot()).actions, [{ kind: 'restart-copy', copy: 'log.1', linked: { web: 1 } }]);
  fixture.copy('log.1', 'local-a-1', { linked: { web: 1 }, jobRestarts: 1 });
  fixture.copy('web.1', 'local-a-1', { version: 2, linked: { log: 1 } }).jobIs('web', { rollout: null });
  t.same(plan(fixture), ['restart log.1: "web" was updated to version 2 beside it']);
});

t.test(
  'a follower that is restarted while its leader changes restarts once more, also where the leader goes back',
  async (t) => {
    // Version 2 was running on one of two when the follower was restarted for another reason; the other is not there yet.
    const rollout = { to: 2, startedAt: NOW, paused: true, promoted: false, revertOf: null, failed: null };
    const fixture = pair('both')
      .job('web', { 'local-a': 2 }, { version: 2, task: { cpu: 0.5 } })
      .jobIs('web', { rollout })
      .jobIs('log', { restarts: 1 });
    fixture.copy('web.1', 'local-a-1', { version: 2, linked: { log: 1 } });
    fixture.copy('web.2', 'local-a-1', { version: 2, taskVersion: 1, linked: { log: 1 } }, { version: 1 });
    const restart = planCluster(fixture.snapshot()).actions.find(({ kind }) => kind === 'restart-copy');
    t.match(restart, { kind: 'restart-copy', copy: 'log.1' });
    const linked = restart?.kind === 'restart-copy' ? restart.linked : {};
    fixture.copy('log.1', 'local-a-1', { linked, jobRestarts: 1 });
    // Back to version 1: that is what the follower was last known to be started with, and is not.
    fixture.jobIs('web', { version: 1, rollout: null });
    for (const id of ['web.1', 'web.2']) fixture.copy(id, 'local-a-1', { version: 1, linked: { log: 1 } });
    t.same(plan(fixture), ['restart log.1: "web" was updated to version 1 beside it']);
  },
);

t.test('updated together: the leader first, then the follower, and each is restarted once', async (t) => {
  const fixture = pair('both', { web: 2, log: 2 });
  fixture.copy('web.1', 'local-a-1', { version: 1, linked: { log: 1 } });
  fixture.copy('log.1', 'local-a-1', { version: 1, linked: { web: 1 } });
  const first = planCluster(fixture.snapshot()).actions;
  t.match(first, [{ kind: 'update-copy', copy: 'web.1', version: 2, linked: { log: 2 } }]);
  t.equal(first.length, 1);
  fixture.copy('web.1', 'local-a-1', { version: 2, linked: { log: 2 } });
  const second = planCluster(fixture.snapshot()).actions;
  t.match(second, [{ kind: 'update-copy', copy: 'log.1', version: 2, linked: { web: 2 } }]);
  fixture.copy('log.1', 'local-a-1', { version: 2, linked: { web: 2 } });
  t.same(planCluster(fixture.snapshot()).actions, []);
});

t.test('what was never known is noted, and nothing restarts for it', async (t) => {
  const fixture = pair('both');
  fixture.copy('web.1', 'local-a-1', { linked: {} });
  t.same(planCluster(fixture.snapshot()).actions, [{ kind: 'note-links', copy: 'web.1', linked: { log: 1 } }]);
});

t.test('what is coupled while the other is still to be updated restarts after that update', async (t) => {
  const paused = { to: 3, startedAt: NOW, paused: true, promoted: false, revertOf: null, failed: null };
  const fixture = pair('both', { web: 3 }).copy('log.1', 'local-a-1', { linked: {} });
  fixture.copy('web.1', 'local-a-1', { version: 2, linked: { log: 1 } }).jobIs('web', { rollout: paused });
  t.same(planCluster(fixture.snapshot()).actions, [{ kind: 'note-links', copy: 'log.1', linked: { web: 2 } }]);
});

t.test('one that is updated beside a leader that is not ready is started after it once more', async (t) => {
  // The leader's roll-out has failed, so nobody waits for it; its version 2 is on its way to running all the same.
  const failed = { to: 2, startedAt: NOW, paused: false, promoted: false, revertOf: null, failed: 'too late' };
  const linkedAfter = (linked: Record<string, number>): unknown => {
    const fixture = pair('follower', { web: 2, log: 2 }).jobIs('web', { rollout: failed });
    fixture.copy('web.1', 'local-a-1', { version: 2 }, { phase: 'stopping' });
    fixture.copy('log.1', 'local-a-1', { version: 1, linked });
    const update = planCluster(fixture.snapshot()).actions.find(({ kind }) => kind === 'update-copy');
    return update?.kind === 'update-copy' && update.linked;
  };
  t.same(linkedAfter({ web: 1 }), { web: 0 });
  t.same(linkedAfter({ web: 2 }), { web: 2 }, 'its leader was only restarted');
  t.same(linkedAfter({}), { web: 0 });
});

t.test('what is coupled while its own update waits knows of an update of the other that comes before', async (t) => {
  const fixture = pair('follower', { web: 3, log: 2 });
  fixture.copy('log.1', 'local-a-1', { version: 1, linked: {} }).copy('web.1', 'local-a-1', { version: 2 });
  t.match(
    planCluster(fixture.snapshot()).actions.filter(({ kind }) => kind === 'note-links'),
    [{ copy: 'log.1', linked: { web: 2 } }],
  );
});

t.test('what waits for its first start notes beside which version that will be', async (t) => {
  const paused = { to: 1, startedAt: NOW, paused: true, promoted: false, revertOf: 2, failed: null };
  const fixture = pair('both').jobIs('web', { rollout: paused });
  fixture.copy('web.1', 'local-a-1', { version: 2, taskVersion: 2, linked: { log: 1 } }, { version: 2 });
  fixture.copy('log.1', 'local-a-1', { taskVersion: null, recipeVersion: null, linked: { web: 1 } }, null);
  t.match(planCluster(fixture.snapshot()).actions, [{ kind: 'restart-copy', copy: 'log.1', linked: { web: 2 } }]);
});

t.test('a follower that its machine may have begun beside a version that is taken back is started anew', async (t) => {
  // Its leader was sent version 2, and nobody answered; then its job went back to version 1.
  const fixture = pair('both');
  fixture.copy('web.1', 'local-a-1', { version: 2, taskVersion: 1, linked: { log: 1 } });
  const { actions } = planCluster(fixture.snapshot());
  t.match(
    actions.filter(({ kind }) => kind !== 'update-copy'),
    [{ kind: 'note-links', copy: 'log.1', linked: { web: 0 } }],
  );
  t.match(
    actions.filter(({ kind }) => kind === 'update-copy'),
    [{ copy: 'web.1', version: 1 }],
  );
  fixture.copy('log.1', 'local-a-1', { linked: { web: 0 } });
  fixture.copy('web.1', 'local-a-1', { linked: { log: 1 } }, { phase: 'starting' });
  t.same(planCluster(fixture.snapshot()).actions, [], 'not before its leader is ready');
  fixture.copy('web.1', 'local-a-1', { linked: { log: 1 } });
  t.match(planCluster(fixture.snapshot()).actions, [{ kind: 'restart-copy', copy: 'log.1', linked: { web: 1 } }]);
});

t.test('what no machine was given yet restarts nothing when it is taken back', async (t) => {
  const fixture = pair('both');
  fixture.copy('web.1', 'local-a-1', { version: 2, recipeVersion: 1, taskVersion: 1, linked: { log: 1 } });
  t.match(planCluster(fixture.snapshot()).actions, [{ kind: 'update-copy', copy: 'web.1', version: 1 }]);
  t.equal(planCluster(fixture.snapshot()).actions.length, 1);
});

t.test('a follower is started after its leader is ready there', async (t) => {
  const fresh = { taskVersion: null, recipeVersion: null };
  const waiting = pair('both')
    .copy('web.1', 'local-a-1', {}, { phase: 'starting' })
    .copy('log.1', 'local-a-1', fresh, null);
  t.same(effects(waiting), []);
  const ready = pair('both').copy('log.1', 'local-a-1', fresh, null);
  t.same(effects(ready), ['deploy-copy log.1']);
});

t.test('a follower that runs already is not held back by a leader that fails', async (t) => {
  const fixture = pair('both').copy('web.1', 'local-a-1', {}, { phase: 'backoff' });
  fixture.copy('log.1', 'local-a-1', { generation: 1 });
  t.same(effects(fixture), ['deploy-copy log.1']);
});

t.test(
  'a follower whose first start nobody confirmed is started anew when its leader was updated meanwhile',
  async (t) => {
    const fixture = pair('both', { web: 2 });
    fixture.copy('web.1', 'local-a-1', { version: 2, linked: { log: 1 } });
    fixture.copy('log.1', 'local-a-1', { taskVersion: null, linked: { web: 1 } }, null);
    t.match(planCluster(fixture.snapshot()).actions, [{ kind: 'restart-copy', copy: 'log.1', linked: { web: 2 } }]);
  },
);

t.test('a follower that has grown is not stopped for want of room: there is no other place for it', async (t) => {
  const fixture = new ClusterFixture()
    .job('web', { 'local-a': 1 }, { task: { cpu: 1.5 } })
    .job('log', {}, { version: 2, task: { cpu: 1 }, spec: { linked_job: 'web' } })
    .rolling('log', 10)
    .machine('local-a-1')
    .copy('web.1', 'local-a-1', { linked: { log: 1 } })
    .copy('log.1', 'local-a-1', { version: 1, cpu: 0.1, linked: { web: 1 } });
  t.same(plan(fixture), [
    'cannot: version 2 of "log" needs 1 cores and 100 MB, for which local-a-1 has no room beside "web"; it stays at version 1 until there is',
  ]);
});

t.test('one that cannot have its version is still restarted with the one that it has', async (t) => {
  const grown = (change: Parameters<ClusterFixture['jobIs']>[1], linked = 2): string[] =>
    plan(
      new ClusterFixture()
        .job('web', { 'local-a': 1 }, { version: 2, task: { cpu: 1.5 } })
        .job('log', {}, { version: 2, task: { cpu: 1 }, spec: { linked_job: 'web' } })
        .machine('local-a-1')
        .copy('web.1', 'local-a-1', { version: 2, cpu: 1.5 })
        .copy('log.1', 'local-a-1', { version: 1, cpu: 0.1, linked: { web: linked } })
        .rolling('log', 10)
        .jobIs('log', change),
    ).filter((sentence) => !sentence.startsWith('cannot'));
  t.same(grown({}), []);
  t.same(grown({ restarts: 1 }), ['restart log.1: "log" is being restarted']);
  t.same(grown({}, 1), ['restart log.1: "web" was updated to version 2 beside it']);
});

t.test(
  'while a roll-out stands still, what was updated beside it and what people ask for restarts it all the same',
  async (t) => {
    const paused = { to: 2, startedAt: NOW, paused: true, promoted: false, revertOf: null, failed: null };
    const fixture = (restarts: number, web: number): string[] =>
      plan(
        pair('follower', { web, log: 2 })
          .copy('log.1', 'local-a-1', { version: 1, linked: { web: 1 } })
          .jobIs('log', { rollout: paused, restarts }),
      );
    t.same(fixture(0, 1), []);
    t.same(fixture(1, 1), ['restart log.1: "log" is being restarted']);
    t.same(fixture(0, 2), ['restart log.1: "web" was updated to version 2 beside it']);
  },
);

t.test(
  'what follows one that cannot have its version waits for that no longer, and is restarted after what it has',
  async (t) => {
    const chain = (trace: number, linked: number): string[] =>
      plan(
        new ClusterFixture()
          .job('web', { 'local-a': 1 }, { task: { cpu: 1.5 } })
          .job('log', {}, { version: 3, task: { cpu: 1 }, spec: { linked_job: 'web' } })
          .job('trace', {}, { version: trace, task: { cpu: 0.1 }, spec: { linked_job: 'log' } })
          .machine('local-a-1')
          .copy('web.1', 'local-a-1', { cpu: 1.5 })
          .copy('log.1', 'local-a-1', { version: 2, cpu: 0.1, linked: { web: 1 } })
          .copy('trace.1', 'local-a-1', { version: 1, cpu: 0.1, linked: { log: linked } })
          .rolling('log', 10),
      ).filter((sentence) => !sentence.startsWith('cannot'));
    t.same(chain(2, 2), ['restart trace.1 with version 2: "trace" goes from version 1 to 2']);
    t.same(chain(1, 1), ['restart trace.1: "log" was updated to version 2 beside it']);
    t.same(chain(1, 2), []);
  },
);

t.test(
  'a leader is not restarted for a follower whose update stands still, though it was counted as coming',
  async (t) => {
    const paused = { to: 2, startedAt: NOW, paused: true, promoted: false, revertOf: null, failed: null };
    const fixture = pair('both', { web: 2, log: 2 }).jobIs('log', { rollout: paused });
    fixture.copy('web.1', 'local-a-1', { version: 2, linked: { log: 2 } });
    fixture.copy('log.1', 'local-a-1', { version: 1, linked: { web: 2 } });
    t.same(plan(fixture), []);
  },
);

t.test('what becomes smaller does not wait for its leader, which needs the room', async (t) => {
  const fixture = new ClusterFixture()
    .job('web', { 'local-a': 1 }, { version: 2, task: { cpu: 1.5 } })
    .job('log', {}, { version: 2, task: { cpu: 0.5 }, spec: { linked_job: 'web' } })
    .machine('local-a-1')
    .copy('web.1', 'local-a-1', { version: 1, cpu: 1, linked: { log: 1 } })
    .copy('log.1', 'local-a-1', { version: 1, cpu: 1, linked: { web: 1 } });
  fixture.limits = { ...fixture.limits, maxMachines: () => 1 };
  t.match(
    plan(fixture).filter((sentence) => !sentence.startsWith('cannot')),
    ['restart log.1 with version 2: "log" goes from version 1 to 2'],
  );
});

t.test('beside two versions of its leader, of which one stays, a follower is restarted once', async (t) => {
  const paused = { to: 2, startedAt: NOW, paused: true, promoted: false, revertOf: null, failed: null };
  const fixture = pair('follower', { web: 2 })
    .job('web', { 'local-a': 2 }, { version: 2, task: { cpu: 0.5 } })
    .jobIs('web', { rollout: paused });
  fixture.copy('web.1', 'local-a-1', { version: 1 }).copy('web.2', 'local-a-1', { version: 2 });
  fixture.copy('log.1', 'local-a-1', { linked: { web: 0 } });
  const [restart, ...others] = planCluster(fixture.snapshot()).actions;
  t.match(restart, { kind: 'restart-copy', copy: 'log.1', linked: { web: 1 } });
  t.same(others, []);
  fixture.copy('log.1', 'local-a-1', { linked: { web: 1 } });
  t.same(planCluster(fixture.snapshot()).actions, []);
});

t.test('the version of a follower is not good before one copy of it has run', async (t) => {
  const fixture = new ClusterFixture()
    .job('web', { 'local-a': 1 }, { task: { cpu: 0.5 } })
    .job('log', {}, { task: { cpu: 0.1 }, spec: { linked_job: 'web' } })
    .rolling('log', 10);
  t.notMatch(plan(fixture).join('\n'), /rolled out/);
});

t.test('what follows a stopped job, however far up the chain, is not on its way to anywhere', async (t) => {
  const chain = (stopped: string): ClusterFixture =>
    new ClusterFixture()
      .job('web', { 'local-a': stopped === 'web' ? 0 : 1 })
      .job('log', {}, { spec: { linked_job: 'web' } })
      .job('trace', {}, { spec: { linked_job: 'log' } })
      .jobIs(stopped, { stopped: true })
      .rolling('trace', 100)
      .machine('local-a-1')
      .copy('web.1', 'local-a-1');
  for (const stopped of ['web', 'log'])
    t.match(plan(chain(stopped)).join('\n'), /version 1 of "trace" is rolled out/, `"${stopped}" is stopped`);
});

t.test('a follower for whose growth there is no room does not hold up those on other machines', async (t) => {
  const fixture = new ClusterFixture()
    .job('web', { 'local-a': 2 }, { task: { cpu: 1.5 } })
    .job('log', {}, { version: 2, task: { cpu: 1 }, spec: { linked_job: 'web', link_restart: 'none' } })
    .machine('local-a-1')
    .machine('local-a-2', { cpu: 4 })
    .copy('web.1', 'local-a-1', { cpu: 1.5 })
    .copy('web.2', 'local-a-2', { cpu: 1.5 })
    .copy('log.1', 'local-a-1', { version: 1, cpu: 0.1 })
    .copy('log.2', 'local-a-2', { version: 1, cpu: 0.1 });
  t.same(plan(fixture), [
    'restart log.2 with version 2: "log" goes from version 1 to 2',
    'cannot: version 2 of "log" needs 1 cores and 100 MB, for which local-a-1 has no room beside "web"; it stays at version 1 until there is',
  ]);
});

t.test('what may run, since an order was not answered, is started anew in its turn', async (t) => {
  const unanswered = { taskVersion: null, linked: { web: 1 } };
  const fixture = pair('both', { web: 2 }).machine('local-a-2');
  for (const n of [1, 2])
    fixture.copy(`web.${n}`, `local-a-${n}`, { linked: { log: 1 } }).copy(`log.${n}`, `local-a-${n}`, unanswered);
  const restarted = planCluster(fixture.snapshot()).actions.filter(({ kind }) => kind === 'restart-copy');
  t.match(restarted, [{ copy: 'log.1', linked: { web: 2 } }]);
  t.equal(restarted.length, 1);
});
