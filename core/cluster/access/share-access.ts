import type { StateStore } from '../../contracts/state-store.ts';
import { CerebroError } from '../../errors.ts';
import { type Access, access } from '../../model/access.ts';
import { storeKeys } from '../../model/backup.ts';

/** Others may write theirs at the same time; one of them wins, and the rest take it. */
const ATTEMPTS = 5;

/**
 * By what all cluster sitters of a shared store know their callers: what stands in the store, or else `own`, which is put there.
 * So a token, a signed-in browser and its forms are as good at one cluster sitter as at another.
 */
export async function shareAccess(store: Pick<StateStore, 'get' | 'commit'>, own: Access): Promise<Access> {
  const key = storeKeys.access;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const entry = await store.get(key);
    if (entry) {
      const result = access.safeParse(entry.value);
      if (result.success) return result.data;
      throw new CerebroError(
        'internal',
        `the record ${key} in the store cannot be read; delete it there and start again`,
      );
    }
    const { ok } = await store.commit({ when: [{ key, revision: 0 }], write: [{ put: key, value: own }] });
    if (ok) return own;
  }
  throw new CerebroError('unavailable', 'the token that all cluster sitters share could not be read; try again');
}
