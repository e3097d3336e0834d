import { CerebroError } from '../errors.ts';

/** What the caller of an order believes to be there: a task at one of these revisions, any, or none. */
export type ExpectedRevision = 'present' | 'absent' | { revisions: readonly number[] };

/** Throws `precondition` when the task is not as the caller believes. `revision`: as it is; null: there is no such task. */
export function checkRevision(expected: ExpectedRevision | undefined, id: string, revision: number | null): void {
  if (expected === undefined) return;
  if (expected === 'absent') {
    if (revision === null) return;
    throw new CerebroError('precondition', `"${id}" is there already, at revision ${revision}; nothing was changed`);
  }
  if (revision === null)
    throw new CerebroError('precondition', `there is no task "${id}" on this machine; nothing was changed`);
  if (expected === 'present' || expected.revisions.includes(revision)) return;
  throw new CerebroError(
    'precondition',
    `"${id}" is at revision ${revision} by now, not ${expected.revisions.join(' or ')}; read it again before you change it`,
  );
}
