import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { CerebroError } from '../../core/errors.ts';

export function sha256Of(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** `user` or `user:group`, names or numbers. Throws `invalid` for anything else. */
export function checkedOwner(owner: string | undefined): string | undefined {
  if (owner === undefined || /^\w[\w.-]*(:\w[\w.-]*)?$/.test(owner)) return owner;
  throw new CerebroError('invalid', `"${owner}" is no owner; it is USER or USER:GROUP`);
}

/** Whether a file that has these owners (`name:group` and `uid:gid`) has the wanted one. */
export function ownerMatches(owner: string | undefined, has: readonly string[]): boolean {
  if (owner === undefined) return true;
  const [user, group] = owner.split(':');
  const pairs = has.map((pair) => pair.split(':'));
  return pairs.some(([name]) => name === user) && (group === undefined || pairs.some(([, name]) => name === group));
}
