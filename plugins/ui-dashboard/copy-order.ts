import type { CopyView } from '../../core/contracts/cluster-api.ts';

/** What somebody should look at comes before what is on its way, and that before what is as it should be. */
const RANK: Partial<Record<CopyView['state'], number>> = { failing: 0, unknown: 1, ready: 3, completed: 3 };
const ON_ITS_WAY = 2;

/** The same copies, those in trouble first; else in the order that they have. */
export function troubleFirst<C extends Pick<CopyView, 'state'>>(copies: readonly C[]): C[] {
  const rank = ({ state }: C): number => RANK[state] ?? ON_ITS_WAY;
  return copies.toSorted((a, b) => rank(a) - rank(b));
}

/** How many are in each state, the most first. */
export function statesOf(all: readonly { state: string }[]): { state: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const { state } of all) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...counts].map(([state, count]) => ({ state, count })).sort((a, b) => b.count - a.count);
}
