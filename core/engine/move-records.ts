import { readBackup } from '../cluster/records/read-backup.ts';
import { restoreBackup } from '../cluster/records/restore-backup.ts';
import { readStore } from '../cluster/records/write-backup.ts';
import type { Backup } from '../model/backup.ts';
import { checkTwoStores, type StorePlace, withDataFolder, withStore } from './open-store.ts';

/** Reads a backup as a restore would, and changes nothing. Throws what is wrong with it; `name` is what that calls it. */
export function checkBackup(text: string, name: string): Backup {
  return readBackup(text, name);
}

/** Fills the store of a cluster sitter that does not run from a backup. */
export async function restoreRecords(
  backup: Backup,
  place: StorePlace,
  options: { replace: boolean; now: number },
): Promise<void> {
  await withDataFolder(place.dataDir, () => withStore(place, (store) => restoreBackup(store, backup, options)));
}

/** Copies what is in one store into another; both are of the same data folder. Resolves to the number of entries. */
export async function migrateRecords(
  from: StorePlace,
  toPlugins: string,
  options: { replace: boolean; now: number },
): Promise<number> {
  const to = { dataDir: from.dataDir, pluginsFile: toPlugins };
  await checkTwoStores(from, to);
  return withDataFolder(from.dataDir, () =>
    withStore(from, async (source) => {
      const found = await readStore(source, options.now);
      await withStore(to, (target) => restoreBackup(target, found, options));
      return found.entries.length;
    }),
  );
}
