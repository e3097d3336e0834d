import t from 'tap';
import { PassLoop } from '../../core/cluster/work/pass-loop.ts';
import { VirtualClock } from '../simulation/virtual-clock.ts';

const GATHER = 10;
const RETRY = 1000;

const goOn = (clock: VirtualClock, ms: number): Promise<void> => clock.runUntil(clock.now() + ms, () => false);

interface Looped {
  clock: VirtualClock;
  loop: PassLoop;
  /** When each pass began (ms). */
  passes: number[];
  failures: unknown[];
}

function looped(pass: (n: number) => Promise<number>): Looped {
  const clock = new VirtualClock(0);
  const passes: number[] = [];
  const failures: unknown[] = [];
  const loop = new PassLoop({
    clock,
    gatherMs: GATHER,
    retryMs: RETRY,
    pass: () => {
      passes.push(clock.monotonic());
      return pass(passes.length);
    },
    onFailure: (error) => failures.push(error),
  });
  return { clock, loop, passes, failures };
}

t.test('the first pass comes at once, the next when it is due', async (t) => {
  const { clock, loop, passes } = looped(async () => 500);
  loop.start();
  await goOn(clock, 1600);
  t.same(passes, [10, 510, 1010, 1510]);
});

t.test('news are gathered, and news without end do not put a pass off', async (t) => {
  const { clock, loop, passes } = looped(async () => 100_000);
  loop.start();
  await goOn(clock, GATHER);
  for (let ms = 0; ms < 100; ms++) {
    loop.poke();
    await goOn(clock, 1);
  }
  t.ok(passes.length >= 9, `${passes.length} passes within 100 ms of news`);
  t.ok(passes.length <= 11, 'several pieces of news make one pass');
});

t.test('news during a pass make another one, and never two at a time', async (t) => {
  let running = 0;
  const { clock, loop, passes } = looped(async () => {
    running += 1;
    t.equal(running, 1);
    loop.poke();
    await new Promise<void>((resolve) => clock.timer(100, resolve));
    running -= 1;
    return 100_000;
  });
  loop.start();
  await goOn(clock, 450);
  t.same(passes, [10, 120, 230, 340, 450]);
});

t.test('a pass that fails is made again later, once', async (t) => {
  const { clock, loop, passes, failures } = looped(async (n) => {
    if (n === 1) throw new Error('the store is away');
    return 100_000;
  });
  loop.start();
  await goOn(clock, 5000);
  t.same(passes, [10, 1010]);
  t.equal(failures.length, 1);
});

t.test('whoever stops it waits for its pass, and none follows', async (t) => {
  let ended = false;
  const { clock, loop, passes } = looped(async () => {
    await new Promise<void>((resolve) => clock.timer(100, resolve));
    ended = true;
    return 1;
  });
  loop.start();
  await goOn(clock, 50);
  const stopped = loop.stop().then(() => t.ok(ended));
  loop.poke();
  await goOn(clock, 1000);
  await stopped;
  t.equal(passes.length, 1);
  loop.start();
  await goOn(clock, 20);
  t.equal(passes.length, 2, 'it can be started again');
});
