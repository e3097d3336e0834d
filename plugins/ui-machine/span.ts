import type { PageRequest } from '../../core/contracts/ui.ts';
import type { HistorySpan } from '../../core/model/history.ts';

/** `?span=day`; anything else is the hour. */
export function spanOf({ query }: PageRequest): HistorySpan {
  return query.get('span') === 'day' ? 'day' : 'hour';
}
