import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CerebroError, messageOf } from '../../core/errors.ts';
import type { FileHashes } from './file-hashes.ts';

/** What unpacks tarballs of these endings, on the machine. */
const UNPACKERS: Readonly<Record<string, string>> = {
  '.tar': 'cat',
  '.tar.gz': 'gzip -dc',
  '.tgz': 'gzip -dc',
  '.tar.xz': 'xz -dc',
  '.txz': 'xz -dc',
  '.tar.bz2': 'bzip2 -dc',
  '.tbz2': 'bzip2 -dc',
  '.tbz': 'bzip2 -dc',
  '.tar.zst': 'zstd -dc',
};
const TARBALL = new RegExp(
  `(${Object.keys(UNPACKERS)
    .map((ending) => ending.replaceAll('.', '\\.'))
    .join('|')})$`,
);

export interface Release {
  /** The tarball's name without its ending. */
  name: string;
  file: string;
  path: string;
  sha256: string;
  bytes: number;
}

/**
 * The tarball to be released: of `version`, which names a file (`web-1.4.tar.gz`), that without its ending, or what follows the last
 * part of it (`1.4`); without one, the newest. Throws `invalid` with what is there.
 */
export async function findRelease(
  folder: string,
  packageName: string | undefined,
  version: string | undefined,
  hashes: FileHashes,
): Promise<Release> {
  const files = tarballsIn(folder).filter((file) => packageName === undefined || file.startsWith(packageName));
  const where = `release_dir ${folder}`;
  if (files.length === 0)
    throw new CerebroError(
      'invalid',
      `${where} holds no tarball${packageName === undefined ? '' : ` that begins with "${packageName}"`}`,
    );
  const file = version === undefined ? newest(folder, files) : named(files, version, where);
  const path = join(folder, file);
  const sha256 = await hashes.of(path);
  checkSum(path, sha256);
  return { name: file.replace(TARBALL, ''), file, path, sha256, bytes: statSync(path).size };
}

/** The command, with its flags, that unpacks a tarball of that name for tar. */
export function unpackerOf(file: string): string {
  const unpacker = UNPACKERS[TARBALL.exec(file)?.[0] ?? ''];
  if (unpacker === undefined) throw new CerebroError('invalid', `${file} is no tarball`);
  return unpacker;
}

function tarballsIn(folder: string): string[] {
  try {
    return readdirSync(resolve(folder)).filter((name) => TARBALL.test(name) && statSync(join(folder, name)).isFile());
  } catch (error) {
    throw new CerebroError('invalid', `release_dir cannot be read where the cluster sitter runs: ${messageOf(error)}`);
  }
}

function newest(folder: string, files: readonly string[]): string {
  const byAge = files.map((file) => ({ file, at: statSync(join(folder, file)).mtimeMs }));
  // Of two with one time, as after a copy, the later name: web-1.10 is after web-1.9.
  byAge.sort((a, b) => b.at - a.at || b.file.localeCompare(a.file, 'en', { numeric: true }));
  return byAge[0]?.file ?? '';
}

function named(files: readonly string[], version: string, where: string): string {
  const exact = files.filter((file) => file === version || file.replace(TARBALL, '') === version);
  const ending = files.filter((file) => {
    const name = file.replace(TARBALL, '');
    return name.endsWith(version) && /[-_.v]$/.test(name.slice(0, name.length - version.length));
  });
  const found = exact.length > 0 ? exact : ending;
  const [only, ...others] = found;
  if (only !== undefined && others.length === 0) return only;
  const what =
    only === undefined ? `none of them is version "${version}"` : `${found.join(', ')} could be version "${version}"`;
  throw new CerebroError('invalid', `${where}: ${what}; it holds ${[...files].sort().slice(-10).join(', ')}`);
}

/** Against `FILE.sha256`, where there is one: a hash, and perhaps names after it, as sha256sum writes it. */
function checkSum(path: string, sha256: string): void {
  const file = `${path}.sha256`;
  if (!existsSync(file)) return;
  const wanted = readFileSync(file, 'utf8').trim().split(/\s+/)[0]?.toLowerCase();
  if (wanted !== sha256)
    throw new CerebroError(
      'invalid',
      `${path} is not what ${file} says: its sha256 is ${sha256}; it is damaged, or still being copied`,
    );
}
