import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, open, rm, stat, statfs, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CerebroError, messageOf, systemCode } from '../../errors.ts';
import type { LogMethod } from '../../model/task.ts';

const run = promisify(execFile);
const FALLOCATE_MS = 60_000;

/**
 * The best way that the file system of a folder has to take the head off a file while others append to it; undefined where that
 * cannot be found out now, because its disk is full.
 */
export async function probeLogMethod(folder: string): Promise<LogMethod | undefined> {
  let own: string;
  try {
    own = await mkdtemp(join(folder, '.cerebro-probe-'));
  } catch (error) {
    return isFull(error) ? undefined : 'none';
  }
  try {
    const path = join(own, 'log');
    const block = await blockSize(folder);
    for (const method of ['collapse', 'punch'] as const) {
      // Three blocks, of which the first goes: the whole of a file cannot be collapsed.
      await writeFile(path, Buffer.alloc(block * 3, 1));
      const works = await cutHead(path, method, 0, block).then(
        () => true,
        () => false,
      );
      if (works) return method;
    }
    return 'copytruncate';
  } catch (error) {
    return isFull(error) ? undefined : 'copytruncate';
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}

function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? '');
}

export async function blockSize(path: string): Promise<number> {
  return Math.max(4096, (await statfs(path)).bsize);
}

/**
 * Takes the bytes from `from` to `to` (offsets in the file; whole blocks) off the head of a file that others append to.
 * collapse: the rest moves up. punch: a hole, nothing moves. Both lose nothing. Throws `unsupported` where it is not to be had.
 */
export async function cutHead(path: string, method: 'collapse' | 'punch', from: number, to: number): Promise<void> {
  await flush(path);
  const how = method === 'collapse' ? '--collapse-range' : '--punch-hole';
  try {
    await run('fallocate', [how, '--offset', String(from), '--length', String(to - from), path], {
      timeout: FALLOCATE_MS,
    });
  } catch (error) {
    throw new CerebroError('unsupported', `fallocate ${how} of ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** fallocate waits for what is not on the disk yet, and holds up whoever writes meanwhile: that is got out of the way before, which holds up nobody. */
async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.datasync();
  } finally {
    await file.close();
  }
}

/**
 * The last resort: what is there is copied to `PATH.old` and the file cut to nothing. What is written between the two is lost;
 * resolves to how much went into the copy, and to how much was lost (at least).
 */
export async function copyTruncate(path: string): Promise<{ copied: number; lost: number }> {
  const old = `${path}.old`;
  try {
    await copyFile(path, old);
  } catch {
    await rm(old, { force: true }); // no room for a copy: then there is none, and the log is cut all the same
  }
  const copied = await stat(old).then(
    ({ size }) => size,
    () => 0,
  );
  const { size } = await stat(path);
  await truncate(path, 0);
  return { copied, lost: Math.max(0, size - copied) };
}
