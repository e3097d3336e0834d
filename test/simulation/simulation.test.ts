import t from 'tap';
import { brokenSitters } from './fixtures/index.ts';
import { type Life, live } from './life.ts';
import { liveMany, type Report, type Task } from './lives.ts';

/** Lives in `npm test`; `npm run simulate -- --seeds 10000` lives more of them. */
const LIVES = Number(process.env.CEREBRO_LIVES ?? 300);
/** In so many a broken cluster sitter must be found out; most are in the first ten. */
const BROKEN_LIVES = 300;
const THREADS = 2;

// All in one go, so that no thread waits for another; the wrong ones first, for nobody knows how long they take.
const tasks: Task[] = [
  ...brokenSitters.map(({ name, from = 1 }) => ({ seed: from, broken: name, tries: BROKEN_LIVES })),
  ...Array.from({ length: LIVES }, (_, n) => ({ seed: n + 1, tries: 1 })),
];
const reports: Report[] = [];
t.before(() =>
  liveMany(tasks, THREADS, (report) => {
    reports.push(report);
    return true;
  }),
);

t.test(`${LIVES} lives full of faults: every law holds, and all come to rest`, async (t) => {
  const lives = reports.filter(({ broken }) => broken === undefined).map(({ life }) => life);
  for (const life of lives)
    if (life.violation) t.fail(`seed ${life.seed}: ${life.violation.invariant}`, { found: story(life) });
  t.equal(lives.length, LIVES);
});

t.test('the same seed takes the same course, in whatever thread', async (t) => {
  const life = await live(41);
  const other = reports.find(({ seed, broken }) => seed === 41 && broken === undefined)?.life ?? (await live(41));
  const { timeline: _, ...facts } = life;
  t.match(other, facts);
  t.equal((await live(41)).timeline.join('\n'), life.timeline.join('\n'));
  t.ok(life.timeline.length > 30, 'and something happened');
});

for (const { name, breaks } of brokenSitters) {
  t.test(`a cluster sitter that ${name} is found out`, async (t) => {
    const { life } = reports.find(({ broken }) => broken === name) ?? {};
    if (!life?.violation) t.fail(`in ${BROKEN_LIVES} lives it was not`);
    else {
      const { invariant, sentence } = life.violation;
      t.ok(breaks.includes(invariant), `seed ${life.seed}: ${invariant}: ${sentence}`);
    }
  });
}

/** What is needed to understand a failure, and to see it again. */
function story({ seed, violation, timeline }: Life): string[] {
  return [violation?.sentence ?? '', ...timeline.slice(-80), `all of it: npm run simulate -- --seed ${seed}`];
}
