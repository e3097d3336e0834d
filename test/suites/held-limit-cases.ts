import type { Limits } from '../../core/contracts/limit-enforcer.ts';
import {
  begin,
  type EnclosedRun,
  hog,
  isAlive,
  type MakeEnforcer,
  MB,
  marked,
  NO_LIMITS,
  runCase,
} from './enclosed-run.ts';
import { eventually } from './eventually.ts';
import type { Assertions, Suite } from './suite.ts';

const BUSY = 'while :; do :; done';
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What is held, how exactly, and what is said of it. */
export function heldLimitCases(make: MakeEnforcer): Suite {
  const withRun = (
    name: string,
    command: string,
    limits: Partial<Limits>,
    body: (t: Assertions, run: EnclosedRun) => Promise<void>,
  ): Suite[number] => runCase(make, name, command, limits, body);

  return [
    withRun('a run within its memory is left alone', 'sleep 1000', { memBytes: 200 * MB }, async (t, run) => {
      await new Promise((resolve) => setTimeout(resolve, 400));
      t.same(run.breaches, []);
      t.ok(isAlive(run.pid));
    }),
    withRun(
      'a run that grows past its memory is reported once, with the numbers',
      hog(120),
      { memBytes: 60 * MB },
      async (t, run) => {
        await eventually(() => run.breaches.length > 0 || !isAlive(run.pid), 'the breach is noticed');
        await new Promise((resolve) => setTimeout(resolve, 200));
        t.equal(run.breaches.length, 1);
        t.equal(run.breaches[0]?.limit, 'mem');
        t.ok(/of 60 MB/.test(run.breaches[0]?.sentence ?? ''));
        t.ok(run.enclosure.account().peakMemBytes > 50 * MB);
      },
    ),
    withRun(
      'memory of the children counts',
      `${hog(45)} & ${hog(45)} & wait`,
      { memBytes: 60 * MB },
      async (t, run) => {
        await eventually(() => run.breaches.length > 0, 'the breach is noticed');
        t.equal(run.breaches[0]?.limit, 'mem');
      },
    ),
    withRun(
      'usage shows processes, memory and cpu',
      'while :; do :; done & wait',
      { memBytes: 500 * MB },
      async (t, run) => {
        await eventually(() => {
          const usage = run.enclosure.usage();
          return usage && usage.cpu > 0.2 && usage.processes === 2;
        }, 'the loop is seen');
        const usage = run.enclosure.usage();
        t.ok((usage?.memBytes ?? 0) > 0);
        t.ok(run.enclosure.account().cpuSeconds > 0);
      },
    ),
    withRun(
      'a run that comes near its memory is warned of once, and goes on',
      hog(120),
      { memBytes: 200 * MB, memWarnBytes: 100 * MB },
      async (t, run) => {
        await eventually(() => run.warnings.length > 0, 'the warning comes');
        await pause(300);
        t.equal(run.warnings.length, 1);
        t.equal(run.warnings[0]?.limit, 'mem');
        t.ok(/of 200 MB in use \(\d+ %\)/.test(run.warnings[0]?.sentence ?? ''));
        t.same(run.breaches, []);
        t.ok(isAlive(run.pid));
      },
    ),
    withRun('two runs do not share their memory', hog(60), { memBytes: 130 * MB }, async (t, run) => {
      const other = await begin(run.enforcer, hog(60), { ...NO_LIMITS, memBytes: 130 * MB });
      for (const { enclosure } of [run, other])
        await eventually(() => (enclosure.usage()?.memBytes ?? 0) > 55 * MB, 'each has its memory');
      t.same([...run.breaches, ...other.breaches], []);
      await other.enclosure.kill(10_000);
      await other.enclosure.release();
      t.ok(isAlive(run.pid));
    }),
    withRun(
      'cpu: a busy loop gets what its limit says, where the kernel holds it',
      BUSY,
      { cpu: 0.5 },
      async (t, run) => {
        if (run.enclosure.holds.cpu !== 'hard') {
          await eventually(() => (run.enclosure.usage()?.cpu ?? 0) > 0.1, 'it is measured at least');
          return;
        }
        await pause(300);
        const before = { cpu: run.enclosure.account().cpuSeconds, at: performance.now() };
        await pause(5000);
        const share = (run.enclosure.account().cpuSeconds - before.cpu) / ((performance.now() - before.at) / 1000);
        t.ok(share > 0.45 && share <= 0.52 ? true : t.fail(`it got ${(share * 100).toFixed(1)} % of a core`));
        t.ok(run.enclosure.account().throttledSeconds > 1);
        t.same(run.breaches, []);
      },
    ),
    withRun(
      'cpu: with restart, a run over its limit for some seconds is reported, with the average',
      BUSY,
      { cpu: 0.1, onCpu: 'restart' },
      async (t, run) => {
        await eventually(() => run.breaches.length > 0, 'the breach is noticed', 60_000);
        t.equal(run.breaches[0]?.limit, 'cpu');
        t.ok(/of 0\.1 cores on average/.test(run.breaches[0]?.sentence ?? ''));
      },
    ),
    withRun(
      'cpu: with warn, it is said, said to be over, and nobody is ended',
      `for i in 1 2 3 4 5 6 7 8 9 10 11 12; do timeout -s KILL 0.5 bash -c '${BUSY}'; done; exec sleep 1000`,
      { cpu: 0.1, onCpu: 'warn' },
      async (t, run) => {
        await eventually(() => run.warnings.length > 0, 'the warning comes', 60_000);
        t.ok(/of 0\.1 cores/.test(run.warnings[0]?.sentence ?? ''));
        await eventually(() => run.warnings.at(-1)?.sentence === null, 'it is over', 60_000);
        t.same(run.breaches, []);
        t.ok(isAlive(run.pid));
      },
    ),
    withRun(
      'pids: a fork bomb is held where the kernel can, and reported where it is sampled',
      'f() { while :; do sleep 1000 & done; }; f 2>/dev/null & exec sleep 1000',
      { pids: 40 },
      async (t, run) => {
        const hard = run.enclosure.holds.pids === 'hard';
        const told = (): boolean => (hard ? run.warnings : run.breaches).some(({ limit }) => limit === 'pids');
        await eventually(told, 'it is told of');
        if (hard) t.ok(marked(run.marker).length <= 40);
        await run.enclosure.kill(10_000);
        t.same(marked(run.marker), []);
      },
    ),
    withRun(
      'a child that wants too much ends the whole run, and it is called so',
      `(${hog(150)}) & exec sleep 1000`,
      { memBytes: 90 * MB },
      async (t, run) => {
        await eventually(() => run.breaches.length > 0 || !isAlive(run.pid), 'the breach is noticed');
        const cause = run.breaches[0] ?? run.enclosure.causeOfEnd();
        t.equal(cause?.limit, 'mem');
        // What the kernel does not end is ended by whoever listens.
        if (run.enclosure.holds.mem !== 'hard') await run.enclosure.kill(10_000);
        await eventually(() => !isAlive(run.pid) && marked(run.marker).length === 0, 'nobody is left');
        t.equal(run.enclosure.account().oomKills > 0, run.enclosure.holds.mem === 'hard');
      },
    ),
    withRun(
      'the breach that ended a run is told once: by the news or by the question, not by both',
      hog(150),
      { memBytes: 60 * MB },
      async (t, run) => {
        await eventually(() => run.breaches.length > 0 || !isAlive(run.pid), 'it is over its limit');
        if (run.enclosure.holds.mem !== 'hard') await run.enclosure.kill(10_000);
        await eventually(() => !isAlive(run.pid), 'it has ended');
        const asked = run.enclosure.causeOfEnd();
        await pause(200);
        t.equal(run.breaches.length + (asked ? 1 : 0), 1);
      },
    ),
  ];
}
