import { spawn } from 'node:child_process';
import type { Clock } from '../../core/contracts/clock.ts';
import type { LimitEnforcer, Limits } from '../../core/contracts/limit-enforcer.ts';
import {
  adopt,
  begin,
  type EnclosedRun,
  hog,
  isAlive,
  type MakeEnforcer,
  MB,
  marked,
  NO_LIMITS,
  runCase,
  startTime,
  stateOf,
} from './enclosed-run.ts';
import { eventually } from './eventually.ts';
import type { Assertions, Suite } from './suite.ts';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What happens to nobody until it does. */
export function nastyRunCases(make: MakeEnforcer): Suite {
  const withRun = (
    name: string,
    command: string,
    limits: Partial<Limits>,
    body: (t: Assertions, run: EnclosedRun) => Promise<void>,
  ): Suite[number] => runCase(make, name, command, limits, body);

  return [
    withRun(
      'children that nobody collects do not keep a run from being over',
      // The shell's child ends after the shell has become a program that collects nobody.
      'sleep 0.2 & exec sleep 1000',
      {},
      async (t, run) => {
        await eventually(() => zombiesOf(run.pid) > 0, 'there is a zombie');
        await run.enclosure.kill(5000);
        t.same(marked(run.marker), []);
      },
    ),
    withRun(
      'a run that ends before it was sampled once leaves nothing to do',
      'exit 0',
      { memBytes: 64 * MB },
      async (t, run) => {
        await eventually(() => !isAlive(run.pid), 'it has ended');
        t.equal(run.enclosure.causeOfEnd(), null);
        await run.enclosure.kill(5000);
        t.same(run.breaches, []);
      },
    ),
    {
      name: 'a pid that is somebody else’s by now is left alone',
      run: async (t) => {
        const enforcer = make();
        await enforcer.start();
        const stranger = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
        const pid = stranger.pid ?? 0;
        const run = await begin(enforcer, 'exit 0', NO_LIMITS);
        await eventually(() => !isAlive(run.pid), 'the run has ended');
        // As if the run's leader had had this pid, in an earlier life of the number.
        run.enclosure.attach({ pid, startTime: startTime(pid) - 1000 });
        run.enclosure.signal('SIGTERM');
        await run.enclosure.kill(5000);
        await pause(50);
        t.ok(isAlive(pid));
        stranger.kill('SIGKILL');
        await run.enclosure.release();
        await enforcer.stop();
      },
    },
    {
      name: 'a clock that jumps breaks no limit and hides none',
      run: async (t) => {
        const enforcer = make(jumpingClock());
        await enforcer.start();
        const quiet = await begin(enforcer, 'exec sleep 1000', {
          ...NO_LIMITS,
          memBytes: 64 * MB,
          cpu: 0.5,
          onCpu: 'restart',
        });
        const greedy = await begin(enforcer, hog(150), { ...NO_LIMITS, memBytes: 60 * MB });
        await eventually(() => greedy.breaches.length > 0 || !isAlive(greedy.pid), 'the greedy one is noticed');
        await pause(300);
        t.same(quiet.breaches, []);
        t.ok(isAlive(quiet.pid));
        await end(enforcer, quiet, greedy);
      },
    },
    withRun(
      'stopped while it starts: it is reached before it has entered its walls',
      'exec sleep 1000',
      {},
      async (t, run) => {
        run.enclosure.signal('SIGKILL');
        await eventually(() => !isAlive(run.pid), 'it has ended');
        t.same(marked(run.marker), []);
      },
    ),
    withRun('killed while it starts', '(setsid sleep 1000 &); exec sleep 1000', {}, async (t, run) => {
      await run.enclosure.kill(10_000);
      await pause(100);
      t.same(marked(run.marker), []);
      t.notOk(isAlive(run.pid));
    }),
    withRun(
      'a child that forks twice, calls setsid and drops its environment is killed too',
      escapee(),
      {},
      async (t, run) => {
        await eventually(() => sleepers().length > 0, 'it is out');
        // A sampled tree has to have seen it once while its parents lived.
        await eventually(() => (run.enclosure.usage()?.processes ?? 0) > 1, 'it is known');
        await run.enclosure.kill(10_000);
        t.same(sleepers(), []);
      },
    ),
    {
      name: 'let go and found again: the run lives on in between, and its limits hold afterwards',
      run: async (t) => {
        const first = make();
        await first.start();
        const limits = { ...NO_LIMITS, memBytes: 60 * MB };
        const run = await begin(first, `sleep 3; exec ${hog(150)}`, limits);
        await run.enclosure.release();
        await first.stop();
        t.ok(isAlive(run.pid));
        const second = make();
        await second.start();
        const again = await adopt(second, run, limits);
        await eventually(() => again.breaches.length > 0 || !isAlive(run.pid), 'it is over its limit');
        t.equal((again.breaches[0] ?? again.enclosure.causeOfEnd())?.limit, 'mem');
        await end(second, again);
        t.same(marked(run.marker), []);
      },
    },
    {
      name: 'what broke its memory while nobody was there is called so afterwards',
      run: async (t) => {
        const first = make();
        await first.start();
        const limits = { ...NO_LIMITS, memBytes: 60 * MB };
        const run = await begin(first, `sleep 1; exec ${hog(150)}`, limits);
        const hard = run.enclosure.holds.mem === 'hard';
        await run.enclosure.release();
        await first.stop();
        if (hard) await eventually(() => !isAlive(run.pid), 'the kernel has ended it');
        const second = make();
        await second.start();
        const again = await adopt(second, run, limits);
        if (!hard) await eventually(() => again.breaches.length > 0, 'it is noticed now');
        t.equal((again.breaches[0] ?? again.enclosure.causeOfEnd())?.limit, 'mem');
        await end(second, again);
      },
    },
    withRun('nobody is told anything after release', hog(150), { memBytes: 60 * MB }, async (t, run) => {
      run.breaches.length = 0;
      await run.enclosure.release();
      const told = run.breaches.length;
      await pause(1500);
      t.equal(run.breaches.length, told);
      const again = await adopt(run.enforcer, run, NO_LIMITS);
      await again.enclosure.kill(10_000);
      await again.enclosure.release();
    }),
    withRun(
      'stopping the enforcer ends nobody',
      'exec sleep 1000',
      { memBytes: 64 * MB, memWarnBytes: 50 * MB },
      async (t, run) => {
        await run.enforcer.stop();
        await pause(100);
        t.ok(isAlive(run.pid));
        await run.enforcer.start();
      },
    ),
  ];
}

async function end(enforcer: LimitEnforcer, ...runs: readonly EnclosedRun[]): Promise<void> {
  for (const { enclosure } of runs) {
    await enclosure.kill(10_000);
    await enclosure.release();
  }
  await enforcer.stop();
}

/** The time of day leaps by days, back and forth, with every look at it; the monotonic clock does not. */
function jumpingClock(): Clock {
  let looks = 0;
  return {
    now: () => Date.now() + (looks++ % 2 === 0 ? 1 : -1) * looks * 86_400_000,
    monotonic: () => performance.now(),
    timer: (ms, callback) => {
      const handle = setTimeout(callback, ms);
      return { cancel: () => clearTimeout(handle) };
    },
  };
}

/** Unlikely enough a number of seconds to know a process by, which has neither marker nor parent. */
const ESCAPED_SECONDS = 1_000_000 + process.pid;

function escapee(): string {
  return `( (sleep 1; exec setsid env -i /bin/sleep ${ESCAPED_SECONDS}) & ) ; exec sleep 1000`;
}

function sleepers(): number[] {
  return stateOf(`sleep\0${ESCAPED_SECONDS}\0`);
}

function zombiesOf(parent: number): number {
  return stateOf(null, parent).length;
}
