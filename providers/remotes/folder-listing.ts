import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { CerebroError } from '../../core/errors.ts';
import { sha256OfFile } from './file-facts.ts';

/** What a folder holds at one path, as far as two folders are compared. */
export type FolderEntry =
  | { kind: 'folder'; mode: number }
  | { kind: 'file'; mode: number; hash: string }
  | { kind: 'link'; to: string };

const MODE = 0o777;

/**
 * Everything under a folder, by relative path, folders before what is in them; `''` is the folder itself. Throws `invalid` for
 * what cannot be copied (sockets, devices, names with line breaks); `lenient` leaves it out.
 */
export async function listFolder(
  folder: string,
  options: { lenient?: boolean } = {},
): Promise<Map<string, FolderEntry>> {
  const found = new Map<string, FolderEntry>();
  const refuse = (path: string, why: string): void => {
    if (!options.lenient) throw new CerebroError('invalid', `${join(folder, path)} cannot be copied: ${why}`);
  };
  const look = async (path: string): Promise<void> => {
    const full = join(folder, path);
    const info = await lstat(full);
    const mode = info.mode & MODE;
    if (path.includes('\n')) refuse(path, 'its name holds a line break');
    else if (info.isSymbolicLink()) found.set(path, { kind: 'link', to: await readlink(full) });
    else if (info.isFile()) found.set(path, { kind: 'file', mode, hash: await sha256OfFile(full) });
    else if (info.isDirectory()) {
      found.set(path, { kind: 'folder', mode });
      for (const name of (await readdir(full)).sort()) await look(path === '' ? name : `${path}/${name}`);
    } else refuse(path, 'it is neither file, folder nor link');
  };
  await look('');
  if (found.get('')?.kind !== 'folder') throw new CerebroError('invalid', `${folder} is no folder`);
  return found;
}

export interface FolderDifference {
  /** Folders to be made or to get another mode, from the top down. */
  folders: string[];
  /** Files and links to be sent. */
  send: string[];
  /** Files that only want another mode. */
  mode: string[];
  /** What is there and not here, from the bottom up. */
  extra: string[];
}

/** What has to be done to `there`, so that it holds what is here. */
export function compareFolders(
  here: ReadonlyMap<string, FolderEntry>,
  there: ReadonlyMap<string, FolderEntry>,
): FolderDifference {
  const difference: FolderDifference = { folders: [], send: [], mode: [], extra: [] };
  for (const [path, entry] of here) {
    const other = there.get(path);
    if (entry.kind === 'folder') {
      if (other?.kind !== 'folder' || other.mode !== entry.mode) difference.folders.push(path);
    } else if (entry.kind === 'link') {
      if (other?.kind !== 'link' || other.to !== entry.to) difference.send.push(path);
    } else if (other?.kind !== 'file' || other.hash !== entry.hash) difference.send.push(path);
    else if (other.mode !== entry.mode) difference.mode.push(path);
  }
  difference.extra = [...there.keys()]
    .filter((path) => !here.has(path))
    .sort()
    .reverse();
  return difference;
}
