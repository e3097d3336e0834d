import { randomUUID } from 'node:crypto';
import type { Limits } from '../../core/contracts/limit-enforcer.ts';
import {
  begin,
  type EnclosedRun,
  isAlive,
  type MakeEnforcer,
  marked,
  NO_LIMITS,
  runCase,
  startTime,
} from './enclosed-run.ts';
import { eventually } from './eventually.ts';
import { heldLimitCases } from './held-limit-cases.ts';
import { nastyRunCases } from './nasty-run-cases.ts';
import type { Assertions, Suite } from './suite.ts';

/** What every `limit-enforcer` must do. `make` gives one that is not started; it must work on this host. */
export function limitEnforcerSuite(make: MakeEnforcer): Suite {
  return [...lifeCases(make), ...heldLimitCases(make), ...nastyRunCases(make)];
}

function lifeCases(make: MakeEnforcer): Suite {
  const withRun = (
    name: string,
    command: string,
    limits: Partial<Limits>,
    body: (t: Assertions, run: EnclosedRun) => Promise<void>,
  ): Suite[number] => runCase(make, name, command, limits, body);

  return [
    {
      name: 'probe says that it works, or why not, and changes nothing',
      run: async (t) => {
        const answer = await make().probe();
        t.ok(answer.works || answer.sentence.length > 0);
      },
    },
    {
      name: 'stop is fine twice, and before start',
      run: async (t) => {
        const enforcer = make();
        await enforcer.stop();
        await enforcer.start();
        await enforcer.stop();
        await enforcer.stop();
        t.ok(true);
      },
    },
    {
      name: 'an enclosure that was never entered can be killed and released, twice',
      run: async (t) => {
        const enforcer = make();
        await enforcer.start();
        const enclosure = await enforcer.enclose({ marker: randomUUID(), task: 'nobody' }, NO_LIMITS);
        await enclosure.kill(1000);
        await enclosure.release();
        await enclosure.release();
        t.equal(enclosure.usage(), null);
        await enforcer.stop();
      },
    },
    withRun('kill ends the leader', 'sleep 1000', {}, async (t, run) => {
      await run.enclosure.kill(10_000);
      t.notOk(isAlive(run.pid));
    }),
    withRun(
      'kill ends children and grandchildren',
      'sleep 1000 & (sleep 1000 & sleep 1000) & wait',
      {},
      async (t, run) => {
        await eventually(() => marked(run.marker).length >= 4, 'the tree has grown');
        await run.enclosure.kill(10_000);
        t.same(marked(run.marker), []);
      },
    ),
    withRun(
      'kill ends a child that called setsid and whose parent is dead',
      '(setsid sleep 1000 &) ; sleep 1000',
      {},
      async (t, run) => {
        await eventually(() => marked(run.marker).length >= 2, 'the child is there');
        await run.enclosure.kill(10_000);
        t.same(marked(run.marker), []);
      },
    ),
    withRun(
      'kill ends what a leader that has ended left behind',
      '(setsid sleep 1000 &) ; sleep 1000 & exit 0',
      {},
      async (t, run) => {
        await eventually(() => !isAlive(run.pid) && marked(run.marker).length >= 2, 'only the rest is there');
        await run.enclosure.kill(10_000);
        t.same(marked(run.marker), []);
      },
    ),
    withRun(
      'kill ends a process that ignores SIGTERM',
      "trap '' TERM INT HUP; while :; do sleep 1; done",
      {},
      async (t, run) => {
        await eventually(() => marked(run.marker).length >= 2, 'it is in its loop');
        run.enclosure.signal('SIGTERM');
        await new Promise((resolve) => setTimeout(resolve, 50));
        t.ok(isAlive(run.pid));
        await run.enclosure.kill(10_000);
        t.notOk(isAlive(run.pid));
      },
    ),
    withRun('kill ends stopped processes', 'sleep 1000 & wait', {}, async (t, run) => {
      process.kill(run.pid, 'SIGSTOP');
      await run.enclosure.kill(10_000);
      t.same(marked(run.marker), []);
    }),
    withRun(
      'kill ends a tree that keeps forking',
      'f() { while :; do (sleep 0.2; :) & sleep 0.005; done; }; f & f & wait',
      {},
      async (t, run) => {
        await eventually(() => marked(run.marker).length >= 10, 'it forks');
        await run.enclosure.kill(10_000);
        t.same(marked(run.marker), []);
      },
    ),
    withRun('signal reaches every process of the run', 'sleep 1000 & sleep 1000 & wait', {}, async (t, run) => {
      await eventually(() => marked(run.marker).length >= 3, 'the tree has grown');
      run.enclosure.signal('SIGTERM');
      await eventually(() => marked(run.marker).length === 0, 'all are gone');
      t.ok(true);
    }),
    withRun(
      'a run that was taken up again by its marker is killed as a whole',
      'sleep 1000 & (setsid sleep 1000 &) ; wait',
      {},
      async (t, run) => {
        await eventually(() => marked(run.marker).length >= 3, 'the tree has grown');
        const enforcer = make();
        await enforcer.start();
        const again = await enforcer.enclose({ marker: run.marker, task: 'again' }, NO_LIMITS);
        again.attach({ pid: run.pid, startTime: startTime(run.pid) });
        await again.kill(10_000);
        await again.release();
        await enforcer.stop();
        t.same(marked(run.marker), []);
      },
    ),
    {
      name: 'two runs are told apart',
      run: async (t) => {
        const enforcer = make();
        await enforcer.start();
        const one = await begin(enforcer, 'sleep 1000 & wait', NO_LIMITS);
        const other = await begin(enforcer, 'sleep 1000 & wait', NO_LIMITS);
        await one.enclosure.kill(10_000);
        t.same(marked(one.marker), []);
        t.ok(isAlive(other.pid));
        await other.enclosure.kill(10_000);
        await one.enclosure.release();
        await other.enclosure.release();
        await enforcer.stop();
      },
    },
  ];
}
