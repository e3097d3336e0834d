import fc from 'fast-check';
import t from 'tap';
import { bytesToCut, type GrowingLog, type LogCut, nextCut, nextLookMs } from '../../core/decide/task/log-trim.ts';

const KB = 1024;
const MB = 1024 * KB;
const BLOCK = 4 * KB;

t.test('how much of its head a log gives up', async (t) => {
  const table: [what: string, size: number, max: number, cut: number][] = [
    ['nothing when it is empty', 0, MB, 0],
    ['nothing within its size', MB - 1, MB, 0],
    ['nothing at its size', MB, MB, 0],
    ['a half when it is just over', MB + 1, MB, 512 * KB],
    ['all but half of its largest size when it is far over', 10 * MB, MB, 10 * MB - 512 * KB],
    ['whole blocks', MB + 5000, MB, 516 * KB],
    ['less than a block is not cut', 4 * KB, 2 * KB, 0],
  ];
  for (const [what, size, max, cut] of table) t.equal(bytesToCut(size, max, BLOCK), cut, what);
});

t.test('how the head goes: by a collapse when it is calm, by holes while it grows fast', async (t) => {
  const calm: GrowingLog = { method: 'collapse', size: MB + 1, max: MB, holeBytes: 0, grownBytes: KB, elapsedMs: 100 };
  const fast = { ...calm, grownBytes: 100 * KB };
  const small = { size: 10 * KB };
  const table: [what: string, log: GrowingLog, cut: LogCut | null][] = [
    ['a calm one is collapsed', calm, { method: 'collapse', bytes: 512 * KB }],
    ['one that is full again within ten seconds gets a hole', fast, { method: 'punch', bytes: 512 * KB }],
    [
      'which is closed after a second of calm, too large or not',
      { ...calm, ...small, holeBytes: MB, elapsedMs: 1000 },
      { method: 'collapse', bytes: 0 },
    ],
    ['and not in a pause', { ...calm, ...small, holeBytes: MB }, null],
    ['and not before', { ...fast, ...small, holeBytes: MB }, null],
    ['unless it is very large', { ...fast, ...small, holeBytes: 65 * MB }, { method: 'collapse', bytes: 0 }],
    ['both at once', { ...calm, holeBytes: MB }, { method: 'collapse', bytes: 512 * KB }],
    ['nothing of a calm one within its size', { ...calm, ...small }, null],
    ['less than a block is no hole', { ...calm, ...small, holeBytes: BLOCK - 1, elapsedMs: 1000 }, null],
    [
      'where nothing collapses, holes stay',
      { ...calm, ...small, method: 'punch', holeBytes: MB, elapsedMs: 1000 },
      null,
    ],
    ['and calm ones get holes, too', { ...calm, method: 'punch' }, { method: 'punch', bytes: 512 * KB }],
    [
      'the last resort is the same at any pace',
      { ...fast, method: 'copytruncate' },
      { method: 'copytruncate', bytes: 512 * KB },
    ],
    ['what cannot be cut is not', { ...calm, method: 'none' }, null],
  ];
  for (const [what, log, cut] of table) t.strictSame(nextCut(log, BLOCK), cut, what);
});

const sizes = fc.tuple(
  fc.integer({ min: 0, max: 2 ** 40 }),
  fc.integer({ min: 64 * KB, max: 2 ** 36 }),
  fc.constantFrom(4 * KB, 16 * KB, 64 * KB),
);

t.test('what is cut off is whole blocks of what there is, and only of a log that is too large', async () => {
  fc.assert(
    fc.property(sizes, ([size, max, block]) => {
      const cut = bytesToCut(size, max, block);
      return cut >= 0 && cut <= size && cut % block === 0 && (cut === 0 || size > max);
    }),
  );
});

t.test('what is left is half of the largest size, and less than a block more', async () => {
  fc.assert(
    fc.property(sizes, ([size, max, block]) => {
      fc.pre(size > max);
      const left = size - bytesToCut(size, max, block);
      return left >= max / 2 && left < max / 2 + block;
    }),
  );
});

t.test('when a log is looked at again', async (t) => {
  const table: [what: string, size: number, grown: number, elapsed: number, next: number | null][] = [
    ['it would be full in 400 ms: at half of that', 600 * KB, 100 * KB, 100, 200],
    ['it grows slowly: at twice the last pause', 10 * KB, 1 * KB, 100, 200],
    ['and twice that', 11 * KB, 1 * KB, 200, 400],
    ['at once when it is full, with a pause all the same', 1024 * KB, 100 * KB, 100, 20],
    ['over its size is no earlier', 9999 * KB, 100 * KB, 100, 20],
    ['after a second at the latest', 11 * KB, 1 * KB, 900, 1000],
    ['it did not grow just now: at twice the last pause', 10 * KB, 0, 100, 200],
    ['it rests: not at all', 10 * KB, 0, 1000, null],
    ['it rests though it was cut meanwhile', 10 * KB, -500 * KB, 1500, null],
    ['first look, no time has passed', 10 * KB, 10 * KB, 0, 20],
  ];
  for (const [what, size, grown, elapsed, next] of table)
    t.equal(nextLookMs(size, 1024 * KB, grown, elapsed), next, what);
});

const look = fc.tuple(
  fc.integer({ min: 0, max: 2 ** 40 }),
  fc.integer({ min: 64 * KB, max: 2 ** 36 }),
  fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
  fc.double({ min: 0, max: 10_000, noNaN: true }),
);

t.test('the pause is from 20 ms to a second, at most twice the last, and none only for what rests', async () => {
  fc.assert(
    fc.property(look, ([size, max, grown, elapsed]) => {
      const next = nextLookMs(size, max, grown, elapsed);
      if (next === null) return grown <= 0 && elapsed >= 1000;
      return next >= 20 && next <= 1000 && next <= Math.max(20, elapsed * 2);
    }),
  );
});

t.test('who goes on growing at one pace is looked at before he is over his size, or 20 ms later', async () => {
  const pace = fc.tuple(
    fc.integer({ min: 64 * KB, max: 2 ** 36 }),
    fc.double({ min: 0.1, max: 1e6, noNaN: true }),
    fc.integer({ min: 20, max: 1000 }),
  );
  fc.assert(
    fc.property(pace, ([max, bytesPerMs, elapsed]) => {
      const grown = bytesPerMs * elapsed;
      fc.pre(grown < max);
      const next = nextLookMs(grown, max, grown, elapsed) ?? Number.POSITIVE_INFINITY;
      return grown + next * bytesPerMs <= max || next === 20;
    }),
  );
});

t.test('a log that does nothing is left alone after a few looks', async (t) => {
  let pause: number | null = 20;
  let looks = 0;
  for (; pause !== null && looks < 100; looks++) pause = nextLookMs(10 * KB, MB, 0, pause);
  t.ok(looks < 12, `after ${looks}`);
});
