import t from 'tap';
import { lastTime, nextTime, schedule } from '../../core/model/schedule.ts';

const of = (value: unknown) => schedule.parse(value);
/** The next `count` times, as UTC texts. */
function times(value: unknown, after: string, count: number): string[] {
  const found: string[] = [];
  let at = Date.parse(after);
  for (let i = 0; i < count; i++) {
    const next = nextTime(of(value), at);
    if (next === null) break;
    found.push(new Date(next).toISOString().slice(0, 16));
    at = next;
  }
  return found;
}

t.test('all forms of a schedule come out as one', async (t) => {
  t.same(of('@daily'), { cron: ['@daily'], time_zone: 'UTC', overlap: 'skip' });
  t.same(of(['0 1 * * *', '0 2 * * *']).cron, ['0 1 * * *', '0 2 * * *']);
  t.same(of({ cron: '0 1 * * *', time_zone: 'Europe/Berlin', overlap: 'replace' }), {
    cron: ['0 1 * * *'],
    time_zone: 'Europe/Berlin',
    overlap: 'replace',
  });
});

t.test('what is no schedule is said', async (t) => {
  for (const [value, words] of [
    ['0 1 * *', /five fields/],
    ['0 0 1 * * *', /five fields/],
    ['61 * * * *', /cron expression/],
    ['0 0 30 2 *', /no day is ever like that/],
    ['@sometimes', /no name that cron knows/],
    // What every JavaScript object has is no name either.
    ['__proto__', /five fields/],
    ['constructor', /five fields/],
    [{ cron: '0 1 * * *', time_zone: 'Mars/Olympus' }, /IANA/],
    [{ cron: '0 1 * * *', overlaps: 'skip' }, /overlaps/],
    [[], /small|at least|>=1/i],
  ] as const) {
    const result = schedule.safeParse(value);
    t.notOk(result.success, JSON.stringify(value));
    t.match(String(result.error), words);
  }
});

t.test('plain times', async (t) => {
  t.same(times('30 2 * * *', '2026-01-01T02:30:00Z', 2), ['2026-01-02T02:30', '2026-01-03T02:30']);
  t.same(times(['0 1 * * *', '0 13 * * *'], '2026-01-01T00:00:00Z', 3), [
    '2026-01-01T01:00',
    '2026-01-01T13:00',
    '2026-01-02T01:00',
  ]);
  t.same(times('0 0 29 2 *', '2026-01-01T00:00:00Z', 1), ['2028-02-29T00:00']);
});

t.test('in spring, what the clock skips is taken right after the jump, once', async (t) => {
  // In Berlin 2026-03-29 goes from 02:00 to 03:00, which is 01:00 UTC.
  const berlin = { cron: '30 2 * * *', time_zone: 'Europe/Berlin' };
  t.same(times(berlin, '2026-03-28T00:00:00Z', 3), ['2026-03-28T01:30', '2026-03-29T01:00', '2026-03-30T00:30']);
  const often = { cron: '*/30 * * * *', time_zone: 'Europe/Berlin' };
  t.same(times(often, '2026-03-29T00:00:00Z', 3), ['2026-03-29T00:30', '2026-03-29T01:00', '2026-03-29T01:30']);
});

t.test('in autumn, what comes twice is taken once; what runs every so often runs on', async (t) => {
  // In Berlin 2026-10-25 goes from 03:00 back to 02:00, which is 01:00 UTC.
  const berlin = { cron: '30 2 * * *', time_zone: 'Europe/Berlin' };
  t.same(times(berlin, '2026-10-24T12:00:00Z', 2), ['2026-10-25T00:30', '2026-10-26T01:30']);
  const often = { cron: '*/30 * * * *', time_zone: 'Europe/Berlin' };
  t.same(times(often, '2026-10-25T00:00:00Z', 4), [
    '2026-10-25T00:30',
    '2026-10-25T01:00',
    '2026-10-25T01:30',
    '2026-10-25T02:00',
  ]);
});

t.test('the last of many missed times is found without walking through them all', async (t) => {
  const minutely = of('* * * * *');
  const until = Date.parse('2026-06-01T12:00:30Z');
  t.equal(lastTime(minutely, Date.parse('2020-01-01T00:00:00Z'), until), Date.parse('2026-06-01T12:00:00Z'));
  t.equal(lastTime(minutely, until, until), null);
  const yearly = of('@yearly');
  t.equal(lastTime(yearly, Date.parse('2020-06-01T00:00:00Z'), until), Date.parse('2026-01-01T00:00:00Z'));
  t.equal(lastTime(yearly, Date.parse('2026-02-01T00:00:00Z'), until), null);
});

t.test('after the end of all dates there is no time, and it does not take long to say so', async (t) => {
  const minutely = of('* * * * *');
  t.equal(nextTime(minutely, Number.MAX_SAFE_INTEGER), null);
  t.equal(lastTime(minutely, Number.MAX_SAFE_INTEGER, Date.parse('2026-06-01T12:00:00Z')), null);
});
