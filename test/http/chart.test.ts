import fc from 'fast-check';
import t from 'tap';
import { amountText } from '../../core/http/pages/amount.ts';
import { CHART_HEIGHT, CHART_WIDTH, chartOf } from '../../core/http/pages/chart.ts';
import type { History } from '../../core/model/history.ts';

const MB = 1024 * 1024;
const FROM = '2026-01-02T03:00:00.000Z';

const past = (values: (number | null)[], span: 'hour' | 'day' = 'hour'): History => ({
  of: 'x',
  span,
  from: FROM,
  stepSeconds: span === 'hour' ? 5 : 60,
  series: { a: values },
});

t.test('amounts are written as people read them', async (t) => {
  t.equal(amountText(0.424, 'cores'), '0.42 cores');
  t.equal(amountText(1, 'cores'), '1 core');
  t.equal(amountText(412 * MB, 'bytes'), '412 MB');
  t.equal(amountText(1200 * MB, 'bytes'), '1.17 GB');
  t.equal(amountText(1023.9 * MB, 'bytes'), '1 GB');
  t.equal(amountText(0, 'bytes'), '0 bytes');
  t.equal(amountText(1536, 'rate'), '1.5 KB/s');
  t.equal(amountText(0.125, 'share'), '12.5 %');
  t.equal(amountText(1234, 'count'), '1234');
  t.equal(amountText(null, 'bytes'), 'not known');
  t.equal(amountText(Number.NaN, 'cores'), 'not known');
});

t.test('a chart says all of itself in one sentence', async (t) => {
  const chart = chartOf(past([10 * MB, null, 30 * MB, 20 * MB]), {
    series: 'a',
    title: 'Memory',
    unit: 'bytes',
    limit: 64 * MB,
  });
  t.equal(
    chart.sentence,
    'Memory over the last hour: between 10 MB and 30 MB, 20 MB on average, 20 MB last; the limit is 64 MB',
  );
  t.equal(chart.last, '20 MB');
  t.strictSame(chart.yLabels, ['80 MB', '40 MB', '0 bytes']);
  t.equal(chart.limitY, 20);
  const nothing = chartOf(past([null, null]), { series: 'a', title: 'Memory', unit: 'bytes' });
  t.equal(nothing.sentence, 'Memory over the last hour: nothing is known');
  t.equal(nothing.known, false);
  t.equal(chartOf(past([]), { series: 'other', title: 'Other', unit: 'count' }).line, '');
});

t.test('a gap is a gap, and a lone point is a dot', async (t) => {
  const { line, area } = chartOf(past([0, 1, null, 1, null]), { series: 'a', title: 'A', unit: 'cores' });
  t.equal(line, 'M0 100L60 0M180 0h0');
  t.equal(area, 'M0 100L0 100L60 0L60 100Z');
});

t.test('peaks are not lost when several points share a column', async (t) => {
  const values = Array.from({ length: 1440 }, () => 0.1 as number | null);
  values[701] = 4;
  const { line } = chartOf(past(values, 'day'), { series: 'a', title: 'A', unit: 'cores' });
  t.match(line, /L[\d.]+ 0(?!\.)/);
});

t.test('times run along the axis from the first point to the last', async (t) => {
  const hour = chartOf(past(Array.from({ length: 720 }, () => 1)), { series: 'a', title: 'A', unit: 'count' });
  t.strictSame(
    hour.xLabels.map(({ text }) => text),
    ['03:00', '03:14', '03:29', '03:44', '03:59'],
  );
  const day = chartOf(
    past(
      Array.from({ length: 1440 }, () => 1),
      'day',
    ),
    { series: 'a', title: 'A', unit: 'count' },
  );
  t.equal(day.xLabels[0]?.text, '03 h');
});

t.test('whatever the values are, the line stays inside its frame and the axis above it', async (t) => {
  const value = fc.option(fc.double({ min: 0, max: 1e15, noNaN: true }));
  const unit = fc.constantFrom('cores', 'bytes', 'rate', 'share', 'count');
  fc.assert(
    fc.property(
      fc.array(value, { maxLength: 1500 }),
      unit,
      fc.option(fc.double({ min: 0, max: 1e15, noNaN: true })),
      (values, unit, limit) => {
        const chart = chartOf(past(values), { series: 'a', title: 'A', unit, limit });
        const numbers = [
          ...`${chart.line}${chart.area}`.matchAll(/(-?[\d.]+(?:e[+-]?\d+)?) (-?[\d.]+(?:e[+-]?\d+)?)/g),
        ];
        for (const [, x, y] of numbers) {
          if (!(Number(x) >= 0 && Number(x) <= CHART_WIDTH)) return false;
          if (!(Number(y) >= -0.5 && Number(y) <= CHART_HEIGHT)) return false;
        }
        return !/NaN|Infinity|undefined/.test(JSON.stringify(chart));
      },
    ),
    { numRuns: 200 },
  );
  t.pass();
});
