import fc from 'fast-check';
import t from 'tap';
import { type Health, NOT_ASKED_YET, pauseBeforeCheck, stepHealth } from '../../core/decide/task/task-health.ts';
import { type HealthCheck, healthCheck } from '../../core/model/health-check.ts';

const SECOND = 1000;

function check(settings: Partial<HealthCheck> = {}): HealthCheck {
  return healthCheck.parse({ tcp: 8080, ...settings });
}

/** The answers of a run, one a second: `+` good, `-` bad. */
function tell(answers: string, settings: Partial<HealthCheck> = {}, firstAtMs = SECOND): Health {
  let health = NOT_ASKED_YET;
  for (const [i, sign] of [...answers].entries()) {
    const answer = { well: sign === '+', sentence: sign === '+' ? 'answered 200' : 'answered 503' };
    health = stepHealth(health, answer, check(settings), firstAtMs + i * SECOND);
  }
  return health;
}

t.test('what the answers of a run make of its health', async (t) => {
  type Row = [what: string, answers: string, state: Health['state'], failures: number, settings?: Partial<HealthCheck>];
  const late = { start_period: 0 };
  const table: Row[] = [
    ['not asked yet', '', 'starting', 0],
    ['a good first answer', '+', 'healthy', 0],
    ['bad answers while it may take its time', '-----', 'starting', 0],
    ['a good answer after these', '-----+', 'healthy', 0],
    ['the start_period over, without a good answer', '-----------', 'starting', 2],
    ['three bad answers after it', '------------', 'unhealthy', 3],
    ['no start_period: the first counts', '-', 'starting', 1, late],
    ['fewer in a row than it takes', '--', 'starting', 2, late],
    ['as many in a row as it takes', '---', 'unhealthy', 3, late],
    ['one bad answer of a run that was well', '+-', 'healthy', 1],
    ['two', '+--', 'healthy', 2],
    ['three: its start_period is of no use to it any more', '+---', 'unhealthy', 3],
    ['a good answer between sets back', '+--+--', 'healthy', 2],
    ['again and again', '+--+--+--+--+', 'healthy', 0],
    ['until there are three in a row', '+--+--+---', 'unhealthy', 3],
    ['a single failure, where one is enough', '+-', 'unhealthy', 1, { failures: 1 }],
    ['and before it was well', '-', 'unhealthy', 1, { failures: 1, start_period: 0 }],
    ['five, where it takes six', '+-----', 'healthy', 5, { failures: 6 }],
  ];
  for (const [what, answers, state, failures, settings] of table)
    t.match(tell(answers, settings), { state, failures }, what);
});

t.test('the start_period ends at its time, and not before', async (t) => {
  const bad = { well: false, sentence: 'answered 503' };
  const settings = check({ start_period: 10, failures: 1 });
  t.equal(stepHealth(NOT_ASKED_YET, bad, settings, 10 * SECOND - 1).state, 'starting');
  t.equal(stepHealth(NOT_ASKED_YET, bad, settings, 10 * SECOND).state, 'unhealthy');
});

t.test('what is said of it', async (t) => {
  t.equal(tell('').sentence, 'not asked yet');
  t.equal(tell('+').sentence, 'answered 200');
  t.equal(tell('-').sentence, 'answered 503; it has 10 s to start');
  t.equal(tell('--').sentence, 'answered 503; it has 10 s to start', 'not longer with each answer');
  t.equal(tell('+-').sentence, 'answered 503 (1 of 3 failures)');
  t.equal(tell('+---').sentence, 'health: answered 503 (3 of 3 failures)');
});

t.test('a run is asked every `interval`; while it starts every second, or more often where it says so', async (t) => {
  const starting = NOT_ASKED_YET;
  const healthy: Health = { state: 'healthy', failures: 0, sentence: '' };
  t.equal(pauseBeforeCheck(starting, check({ interval: 30 })), 1);
  t.equal(pauseBeforeCheck(starting, check({ interval: 0.2 })), 0.2);
  t.equal(pauseBeforeCheck(healthy, check({ interval: 30 })), 30);
  t.equal(pauseBeforeCheck({ ...healthy, failures: 2 }, check({ interval: 30 })), 30);
});

const any = fc.array(fc.constantFrom('+', '-'), { maxLength: 40 }).map((signs) => signs.join(''));
const failures = fc.integer({ min: 1, max: 8 });

t.test('whatever came before, a good answer makes it healthy with nothing held against it', async () => {
  fc.assert(
    fc.property(any, failures, (answers, failures) => {
      const health = tell(`${answers}+`, { failures });
      return health.state === 'healthy' && health.failures === 0;
    }),
  );
});

t.test('after a good answer it is unhealthy with exactly so many bad ones in a row, and never with fewer', async () => {
  fc.assert(
    fc.property(any, failures, (answers, failures) => {
      const fewer = tell(`${answers}+${'-'.repeat(failures - 1)}`, { failures });
      const enough = tell(`${answers}+${'-'.repeat(failures)}`, { failures });
      return fewer.state === 'healthy' && fewer.failures === failures - 1 && enough.state === 'unhealthy';
    }),
  );
});

t.test('before it was well once, nothing in its start_period makes it unhealthy', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), failures, (count, failures) => {
      const health = tell('-'.repeat(count), { failures, start_period: 60 });
      return health.state === 'starting' && health.failures === 0;
    }),
  );
});

t.test(
  'it never becomes `starting` again, and the pause between two questions is never longer than interval',
  async () => {
    fc.assert(
      fc.property(any, fc.double({ min: 0.1, max: 86_400, noNaN: true }), (answers, interval) => {
        let wasMore = false;
        for (let n = 0; n <= answers.length; n++) {
          const health = tell(answers.slice(0, n));
          if (health.state !== 'starting') wasMore = true;
          else if (wasMore) return false;
          const pause = pauseBeforeCheck(health, check({ interval }));
          if (pause > interval || pause <= 0) return false;
        }
        return true;
      }),
    );
  },
);
