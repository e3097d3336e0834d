import t from 'tap';
import type { History } from '../../core/model/history.ts';
import { sumHistories } from '../../plugins/ui-dashboard/sum-histories.ts';

const past = (from: string, cpu: (number | null)[]): History => ({
  of: 'task:x',
  span: 'hour',
  from: `2026-01-01T00:00:${from}.000Z`,
  stepSeconds: 5,
  series: { cpu },
});

t.test('at each time, the sum of what is known then', async (t) => {
  t.equal(sumHistories([]), null);
  const sum = sumHistories([past('10', [1, 2, null]), past('05', [10, 10, null, null, 10]), past('20', [null, 100])]);
  t.match(sum, { from: '2026-01-01T00:00:05.000Z', stepSeconds: 5, span: 'hour' });
  //                              :05  :10  :15  :20   :25
  t.strictSame(sum?.series.cpu, [10, 11, 2, null, 110]);
});
