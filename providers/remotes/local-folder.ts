import { randomUUID } from 'node:crypto';
import { chmod, copyFile, lstat, mkdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { PutFolderOptions } from '../../core/contracts/remote.ts';
import { CerebroError, systemCode } from '../../core/errors.ts';
import { compareFolders, type FolderEntry, listFolder } from './folder-listing.ts';

/** `putFolder` on this host: what differs is copied beside its place and renamed into it; a whole new folder, as a whole. */
export async function putFolderHere(from: string, to: string, options: PutFolderOptions): Promise<number> {
  const here = await listFolder(from);
  const there = (await isFolder(to)) ? await listFolder(to, { lenient: true }) : new Map<string, FolderEntry>();
  const { folders, send, mode, extra } = compareFolders(here, there);
  const fresh = there.size === 0;
  const target = fresh ? partOf(to) : to;
  if (fresh) await mkdir(dirname(to), { recursive: true });
  try {
    if (options.prune) for (const path of extra) await rm(join(target, path), { recursive: true, force: true });
    for (const path of folders) {
      if (there.get(path)?.kind === 'folder') continue;
      await rm(join(target, path), { force: true });
      await mkdir(join(target, path), { mode: 0o700 });
    }
    for (const path of send) await copyInto(join(from, path), join(target, path), here.get(path));
    for (const path of [...mode, ...[...folders].reverse()]) {
      const entry = here.get(path);
      if (entry && entry.kind !== 'link') await chmod(join(target, path), entry.mode);
    }
    if (fresh) {
      await rm(to, { force: true });
      await rename(target, to);
    }
  } catch (error) {
    if (fresh) await rm(target, { recursive: true, force: true });
    if (systemCode(error) === 'ENOSPC')
      throw new CerebroError('no_space', `the disk is full: ${to} could not be written`, { cause: error });
    throw error;
  }
  return send.length + mode.length;
}

async function copyInto(from: string, to: string, entry: FolderEntry | undefined): Promise<void> {
  const part = partOf(to);
  try {
    if (entry?.kind === 'link') await symlink(await readlink(from), part);
    else {
      await copyFile(from, part);
      if (entry?.kind === 'file') await chmod(part, entry.mode);
    }
    await removeFolder(to);
    await rename(part, to);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

/** A folder cannot be renamed over; anything else can, and stays in its place until then. */
async function removeFolder(path: string): Promise<void> {
  if (await isFolder(path)) await rm(path, { recursive: true });
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}

function partOf(path: string): string {
  return `${path}.${randomUUID().slice(0, 8)}.part`;
}
