import t from 'tap';
import { brokenSitters } from './fixtures/index.ts';
import { type Life, live } from './life.ts';

/** Lives in `npm test`; `npm run simulate -- --seeds 10000` lives more of them. */
const LIVES = 150;
/** In so many a broken cluster sitter must be found out; most are in the first ten. */
const BROKEN_LIVES = 300;

t.test(`${LIVES} lives full of faults: every law holds, and all come to rest`, async (t) => {
  for (let seed = 1; seed <= LIVES; seed++) {
    const life = await live(seed);
    if (life.violation) t.fail(`seed ${seed}: ${life.violation.invariant}`, { found: story(life) });
  }
  t.pass(`${LIVES} lives`);
});

t.test('the same seed takes the same course', async (t) => {
  const [one, other] = [await live(41), await live(41)];
  t.equal(one.timeline.join('\n'), other.timeline.join('\n'));
  t.ok(one.timeline.length > 30, 'and something happened');
});

for (const broken of brokenSitters) {
  t.test(`a cluster sitter that ${broken.name} is found out`, async (t) => {
    const { from = 1 } = broken;
    for (let seed = from; seed < from + BROKEN_LIVES; seed++) {
      const { violation } = await live(seed, broken);
      if (!violation) continue;
      t.ok(broken.breaks.includes(violation.invariant), `seed ${seed}: ${violation.invariant}: ${violation.sentence}`);
      return;
    }
    t.fail(`in ${BROKEN_LIVES} lives it was not`);
  });
}

/** What is needed to understand a failure, and to see it again. */
function story({ seed, violation, timeline }: Life): string[] {
  return [violation?.sentence ?? '', ...timeline.slice(-80), `all of it: npm run simulate -- --seed ${seed}`];
}
