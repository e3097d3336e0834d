import { createHash } from 'node:crypto';
import type { Entry, StateStore } from '../../contracts/state-store.ts';
import { CerebroError } from '../../errors.ts';
import { BACKUP_VERSION, type BackupHead, checkStore, SCHEMA_VERSION, storeKeys } from '../../model/backup.ts';
import { keys } from './cluster-records.ts';

/** The store as it is at one moment, and what a backup says of it. Throws what `checkStore` throws. */
export async function readStore(
  store: Pick<StateStore, 'list'>,
  now: number,
): Promise<{ head: BackupHead; entries: Entry[] }> {
  const { entries } = await store.list('');
  checkStore(entries);
  const text = (key: string): string => String(entries.find((entry) => entry.key === key)?.value ?? '');
  const head: BackupHead = {
    cerebro: 'backup',
    version: BACKUP_VERSION,
    schema: Number(text(storeKeys.schema) || SCHEMA_VERSION),
    store: text(storeKeys.id),
    clusterId: text(keys.cluster),
    takenAt: new Date(now).toISOString(),
  };
  if (entries.length === 0) throw new CerebroError('not_found', 'the store is empty: there is nothing to back up');
  const own: readonly string[] = Object.values(storeKeys);
  return { head, entries: entries.filter(({ key }) => !own.includes(key)) };
}

/** The lines of a backup, each with its end; the last one says how many there were and what they come to. */
export function* backupLines(head: BackupHead, entries: readonly Entry[]): Generator<string> {
  const hash = createHash('sha256');
  const line = (value: object): string => {
    const text = `${JSON.stringify(value)}\n`;
    hash.update(text);
    return text;
  };
  yield line(head);
  for (const { key, value } of entries) yield line({ key, value });
  yield `${JSON.stringify({ entries: entries.length, sha256: hash.digest('hex') })}\n`;
}
