import { randomUUID } from 'node:crypto';
import type { Operation, StateStore } from '../../contracts/state-store.ts';
import { CerebroError } from '../../errors.ts';
import { type Backup, SCHEMA_VERSION, storeKeys } from '../../model/backup.ts';

/** What goes into one commit: stores that take requests over a network limit their size. */
const COMMIT = { operations: 90, characters: 400_000 } as const;

/**
 * Makes a store what the backup says. It takes several commits, so a mark stands in the store until the last of them: a store that
 * bears it is not started with. Throws `conflict` for a store that has something in it (unless `replace`), and for the one that the
 * backup was taken from.
 */
export async function restoreBackup(
  store: Pick<StateStore, 'list' | 'commit'>,
  backup: Backup,
  { replace, now }: { replace: boolean; now: number },
): Promise<void> {
  const there = (await store.list('')).entries;
  const id = there.find(({ key }) => key === storeKeys.id)?.value;
  if (id !== undefined && id === backup.head.store)
    throw new CerebroError(
      'conflict',
      'this is the very store that the backup was taken from, and it stays as it is; move it away, or name another one',
    );
  if (there.length > 0 && !replace)
    throw new CerebroError(
      'conflict',
      `the store has ${there.length} entries already; --replace puts the backup in their place, and they are gone`,
    );
  const write = async (operations: Operation[]): Promise<void> => {
    const result = await store.commit({ write: operations });
    if (!result.ok) throw new CerebroError('conflict', 'the store was changed by somebody else meanwhile');
  };
  await write([
    { put: storeKeys.restoring, value: { takenAt: backup.head.takenAt, since: new Date(now).toISOString() } },
  ]);
  const wanted = new Set(backup.entries.map(({ key }) => key));
  const own: readonly string[] = Object.values(storeKeys);
  const surplus = there.filter(({ key }) => !wanted.has(key) && !own.includes(key));
  const operations: Operation[] = [
    ...surplus.map(({ key }) => ({ delete: key })),
    ...backup.entries.map(({ key, value }) => ({ put: key, value })),
  ];
  for (const batch of batches(operations)) await write(batch);
  await write([
    { put: storeKeys.id, value: randomUUID() },
    { put: storeKeys.schema, value: SCHEMA_VERSION },
    { delete: storeKeys.restoring },
  ]);
}

function* batches(operations: readonly Operation[]): Generator<Operation[]> {
  let batch: Operation[] = [];
  let characters = 0;
  for (const operation of operations) {
    const size = 'put' in operation ? JSON.stringify(operation.value).length : 0;
    if (batch.length > 0 && (batch.length >= COMMIT.operations || characters + size > COMMIT.characters)) {
      yield batch;
      batch = [];
      characters = 0;
    }
    batch.push(operation);
    characters += size;
  }
  if (batch.length > 0) yield batch;
}
