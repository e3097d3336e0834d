import { randomUUID } from 'node:crypto';
import { posix } from 'node:path';
import type { Readable } from 'node:stream';
import type { PutOptions } from '../../core/contracts/remote.ts';
import { CerebroError } from '../../core/errors.ts';
import { counted } from './counted.ts';
import { checkedOwner, ownerMatches } from './file-facts.ts';
import { shellQuote } from './shell-quote.ts';
import type { SshRemote } from './ssh-remote.ts';

const TIMEOUT_S = 600;
/** A transfer that is slower than this is broken off. */
const SLOWEST_BYTES_PER_S = 50_000;

/** What a file over there is to hold. */
export interface FileSource {
  /** SHA-256 in hex. */
  hash: string;
  size: number;
  open(): string | Readable;
}

export type FileOptions = PutOptions & { mode: number };

/** Sends it, unless it is there already with its mode and owner. Resolves to whether anything was changed. */
export async function putFileOverSsh(
  remote: SshRemote,
  source: FileSource,
  path: string,
  options: FileOptions,
): Promise<boolean> {
  const { name, asRoot, owner, target, mode, dress } = dressing(path, options);
  const found = await remote.script(
    `if [ -d ${target} ]; then echo folder; elif [ -f ${target} ]; then sha256sum <${target}; stat -L -c '%a %U:%G %u:%g' -- ${target}; fi`,
    { name, asRoot },
  );
  if (found.trim() === 'folder')
    throw new CerebroError('invalid', `${path} on ${remote.place} is a folder; a file cannot take its place`);
  const [hash = '', , hasMode, ...owners] = found.trim().split(/\s+/);
  if (hash !== source.hash) {
    await sendFileOverSsh(remote, source, path, options);
    return true;
  }
  if (hasMode === mode && ownerMatches(owner, owners)) return false;
  await remote.script(`set -e\n${dress(target)}`, { name, asRoot });
  return true;
}

/** Sends it without a look before. It is whole, compared and dressed before it takes its place. */
export async function sendFileOverSsh(
  remote: SshRemote,
  source: FileSource,
  path: string,
  options: FileOptions,
): Promise<void> {
  const { name, asRoot, target, dress } = dressing(path, options);
  const part = shellQuote(`${path}.${randomUUID().slice(0, 8)}.part`);
  const script = [
    'set -e',
    // Into a folder it would be moved, instead of taking its place.
    `if [ -d ${target} ]; then echo 'it is a folder; a file cannot take its place' >&2; exit 1; fi`,
    `mkdir -p -- ${shellQuote(posix.dirname(path))}`,
    `drop() { rm -f -- ${part}; }`,
    'trap drop EXIT',
    // When the connection breaks, nobody hears our words: that must not end us before the half of it is taken away.
    "trap '' PIPE HUP",
    `(umask 077; cat >${part})`,
    `[ "$(sha256sum <${part})" = "${source.hash}  -" ] || { echo 'what arrived is not what was sent; it was thrown away' >&2; exit 1; }`,
    `${dress(part)}mv -f -- ${part} ${target}`,
  ];
  const content = source.open();
  const input = typeof content === 'string' ? content : counted(content, source.size, options.onProgress);
  const timeout = TIMEOUT_S + source.size / SLOWEST_BYTES_PER_S;
  await remote.script(script.join('\n'), { name, asRoot, input, timeout });
}

function dressing(path: string, options: FileOptions) {
  const owner = checkedOwner(options.owner);
  const mode = options.mode.toString(8);
  return {
    name: `put ${path}`,
    asRoot: options.sudo === true || owner !== undefined,
    owner,
    mode,
    target: shellQuote(path),
    dress: (file: string): string =>
      `${owner === undefined ? '' : `chown -- ${owner} ${file}\n`}chmod ${mode} -- ${file}\n`,
  };
}
