import { z } from 'zod';
import { CerebroError } from '../errors.ts';

/** The form of backups that this program writes; it reads this one and older ones. */
export const BACKUP_VERSION = 1;
/** The form of the records in a store. A store of a newer one is left alone. */
export const SCHEMA_VERSION = 1;

/** What a store says of itself; none of it goes from one store into another. */
export const storeKeys = {
  schema: 'meta/schema',
  /** Made with the store, so that a store is known again. */
  id: 'meta/store',
  /** Stands there from the beginning of a restore to its end. */
  restoring: 'meta/restoring',
  /** Who leads (`leaderRecord`). */
  leader: 'meta/leader',
  /** What all cluster sitters of a shared store know their callers by (`access`). */
  access: 'meta/access',
} as const;

/** A backup is lines of JSON: the head, an entry each, the end. */
export const backupHead = z.object({
  cerebro: z.literal('backup'),
  version: z.number().int().min(1),
  schema: z.number().int().min(1),
  /** The store that it was taken from; empty: that had no name yet. */
  store: z.string(),
  clusterId: z.string(),
  takenAt: z.string(),
});
export type BackupHead = z.infer<typeof backupHead>;

export const backupEntry = z.strictObject({ key: z.string().min(1), value: z.unknown() });
export type BackupEntry = z.infer<typeof backupEntry>;

/** `sha256`: of all lines before, with their ends, in hexadecimal. */
export const backupEnd = z.strictObject({ entries: z.number().int().min(0), sha256: z.string().length(64) });

export interface Backup {
  head: BackupHead;
  entries: readonly BackupEntry[];
}

/** Throws `unsupported` for a store of a newer program, and `conflict` for one that was restored by half. */
export function checkStore(entries: Iterable<{ key: string; value: unknown }>): void {
  for (const { key, value } of entries) {
    if (key === storeKeys.schema && Number(value) > SCHEMA_VERSION)
      throw new CerebroError(
        'unsupported',
        `the records in the store are of version ${value}, and this program knows version ${SCHEMA_VERSION}: use the newer Cerebro that wrote them`,
      );
    if (key === storeKeys.restoring)
      throw new CerebroError(
        'conflict',
        'a backup was being restored into this store, and that did not come to its end; do it again: cerebro restore FILE --replace',
      );
  }
}
