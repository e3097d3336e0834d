import type { Change, ResourceRecordSet } from '@aws-sdk/client-route-53';
import { labelOf, type WantedSet } from '../../core/contracts/dns-batch.ts';
import { CerebroError } from '../../core/errors.ts';
import { type HostedSet, hostedSet } from './hosted-records.ts';

/** What one call takes. */
const MAX_RECORDS = 1000;
const MAX_CHARACTERS = 32_000;

export interface DueSet {
  set: WantedSet;
  there: HostedSet | null;
}

/**
 * The changes in as few calls as there can be, of which each does all or nothing. A set is changed by deleting it as it was seen and
 * creating it anew: where somebody else changed it since, the delete fits nothing, and Route 53 refuses the call.
 */
export function changeBatches(due: readonly DueSet[]): Change[][] {
  const batches: Change[][] = [];
  let left = { records: 0, characters: 0 };
  for (const { set, there } of due) {
    const changes: Change[] = [];
    if (there !== null) changes.push({ Action: 'DELETE', ResourceRecordSet: there.raw });
    if (set.values.length > 0) changes.push({ Action: 'CREATE', ResourceRecordSet: hostedSet(set) });
    const values = changes.flatMap(({ ResourceRecordSet }) => valuesOf(ResourceRecordSet));
    const characters = values.reduce((sum, value) => sum + value.length, 0);
    if (values.length > MAX_RECORDS || characters > MAX_CHARACTERS)
      throw new CerebroError('invalid', `${labelOf(set)} has more values than one call to Route 53 can carry`);
    if (values.length > left.records || characters > left.characters) {
      batches.push([]);
      left = { records: MAX_RECORDS, characters: MAX_CHARACTERS };
    }
    batches.at(-1)?.push(...changes);
    left = { records: left.records - values.length, characters: left.characters - characters };
  }
  return batches;
}

function valuesOf(set: ResourceRecordSet | undefined): string[] {
  return (set?.ResourceRecords ?? []).map(({ Value = '' }) => Value);
}
