import type { History } from '../../core/model/history.ts';

/**
 * What several did together: at each time the sum of what is known then, null where nothing is. All are of one span, and so of one
 * step; each may begin and end at another time.
 */
export function sumHistories(histories: readonly History[]): History | null {
  const [first] = histories;
  if (!first) return null;
  const { span, stepSeconds } = first;
  const stepMs = stepSeconds * 1000;
  const slotOf = (history: History): number => Math.round(Date.parse(history.from) / stepMs);
  const start = Math.min(...histories.map(slotOf));
  const series: Record<string, (number | null)[]> = {};
  for (const history of histories) {
    const offset = slotOf(history) - start;
    for (const [name, values] of Object.entries(history.series)) {
      series[name] ??= [];
      const sums = series[name];
      for (const [i, value] of values.entries()) {
        const at = offset + i;
        // Where one has begun later, nothing of it is known before.
        while (sums.length <= at) sums.push(null);
        if (value !== null) sums[at] = (sums[at] ?? 0) + value;
      }
    }
  }
  return { of: 'several', span, from: new Date(start * stepMs).toISOString(), stepSeconds, series };
}
