import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { PutFolderOptions } from '../../core/contracts/remote.ts';
import { CerebroError } from '../../core/errors.ts';
import { counted } from './counted.ts';
import { checkedOwner } from './file-facts.ts';
import { compareFolders, type FolderDifference, type FolderEntry, listFolder } from './folder-listing.ts';
import { shellQuote } from './shell-quote.ts';
import type { SshRemote } from './ssh-remote.ts';

/** A listing longer than this is no release any more. */
const LISTING_BYTES = 64 * 1024 * 1024;
const TIMEOUT_S = 600;
const SLOWEST_BYTES_PER_S = 50_000;

/**
 * Compares by hash, sends what differs as one tar stream into a folder beside the target, and moves it into place file by file,
 * or as a whole where there was nothing. The local side needs tar, the other one tar, find, stat and sha256sum.
 */
export async function putFolderOverSsh(
  remote: SshRemote,
  localFolder: string,
  remoteFolder: string,
  options: PutFolderOptions,
): Promise<number> {
  const owner = checkedOwner(options.owner);
  const asRoot = options.sudo === true || owner !== undefined;
  const name = `putFolder ${remoteFolder}`;
  const here = await listFolder(localFolder);
  const there = await listRemote(remote, remoteFolder, asRoot, name);
  const difference = compareFolders(here, there);
  if (options.prune !== true) difference.extra = [];
  const { folders, send, mode, extra } = difference;
  const changes = send.length + mode.length + extra.length;
  if (changes + folders.length > 0) {
    const staging = `${remoteFolder.replace(/\/+$/, '')}.${randomUUID().slice(0, 8)}.part`;
    try {
      await sendFiles(remote, { localFolder, staging, send, asRoot, name, onProgress: options.onProgress });
      await remote.script(commitScript(here, there, difference, remoteFolder, staging), { name, asRoot });
    } finally {
      // After a broken connection this fails too: what counts is why the first step did.
      await remote.script(`rm -rf -- ${shellQuote(staging)}`, { name, asRoot }).catch(() => undefined);
    }
  }
  if (owner !== undefined) await remote.script(`chown -hR -- ${owner} ${shellQuote(remoteFolder)}`, { name, asRoot });
  return send.length + mode.length;
}

async function listRemote(
  remote: SshRemote,
  folder: string,
  asRoot: boolean,
  name: string,
): Promise<Map<string, FolderEntry>> {
  const chunks: Buffer[] = [];
  let size = 0;
  const script = [
    `cd -- ${shellQuote(folder)} 2>/dev/null || exit 0`,
    `find . -type d -exec stat -c 'd %a %n' {} +`,
    `find . -type f -exec stat -c 'f %a %n' {} +`,
    `find . -type f -exec sha256sum {} +`,
    `find . -type l -exec sh -c 'for l; do printf "l %s\\nt %s\\n" "$l" "$(readlink "$l")"; done' sh {} +`,
  ].join('\n');
  await remote.script(script, {
    name,
    asRoot,
    onBytes: (chunk) => {
      size += chunk.length;
      if (size <= LISTING_BYTES) chunks.push(chunk);
    },
  });
  if (size > LISTING_BYTES)
    throw new CerebroError('too_large', `${name}: the folder holds too many files to be compared`);
  return parseListing(Buffer.concat(chunks).toString('utf8'));
}

function parseListing(text: string): Map<string, FolderEntry> {
  const found = new Map<string, FolderEntry>();
  let link = '';
  for (const line of text.split('\n')) {
    const mode = /^([df]) ([0-7]+) \.\/?(.*)$/.exec(line);
    const hash = /^(\\?)([0-9a-f]{64}) [ *]\.\/(.*)$/.exec(line);
    if (mode) {
      const [, kind, bits = '0', path = ''] = mode;
      const entry = { mode: Number.parseInt(bits, 8) & 0o777 };
      found.set(path, kind === 'd' ? { kind: 'folder', ...entry } : { kind: 'file', hash: '', ...entry });
    } else if (hash) {
      // sha256sum marks a name with escapes by a backslash before the line.
      const path = hash[1] === '' ? hash[3] : hash[3]?.replaceAll('\\\\', '\\');
      const entry = found.get(path ?? '');
      if (entry?.kind === 'file') entry.hash = hash[2] ?? '';
    } else if (line.startsWith('l ./')) link = line.slice(4);
    else if (line.startsWith('t ')) found.set(link, { kind: 'link', to: line.slice(2) });
  }
  return found;
}

async function sendFiles(
  remote: SshRemote,
  job: {
    localFolder: string;
    staging: string;
    send: readonly string[];
    asRoot: boolean;
    name: string;
    onProgress: PutFolderOptions['onProgress'];
  },
): Promise<void> {
  const sizes = await Promise.all(job.send.map(async (path) => (await lstat(join(job.localFolder, path))).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const tar = spawn(
    'tar',
    [
      '--create',
      '--file=-',
      `--directory=${job.localFolder}`,
      '--null',
      '--no-recursion',
      '--verbatim-files-from',
      '--files-from=-',
    ],
    { stdio: ['pipe', 'pipe', 'pipe'], env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' } },
  );
  const input = counted(tar.stdout, total, job.onProgress);
  let complaint = '';
  tar.stderr.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-2000);
  });
  const packed = new Promise<void>((resolve, reject) => {
    tar.once('error', (error) =>
      reject(new CerebroError('unsupported', `${job.name}: tar does not start here: ${error.message}`)),
    );
    tar.once('close', (code) =>
      code === 0
        ? resolve()
        : reject(
            new CerebroError('invalid', `${job.name}: ${job.localFolder} could not be packed: ${complaint.trim()}`),
          ),
    );
  });
  packed.catch(() => undefined); // waited for below; the other side's trouble may come first
  tar.stdin.on('error', () => undefined); // its end says why
  tar.stdin.end(job.send.map((path) => `./${path}\0`).join(''));
  const staging = shellQuote(job.staging);
  const script = `set -e\numask 022\nmkdir -p -- ${shellQuote(posix.dirname(job.staging))}\nmkdir -m 700 -- ${staging}\ncd -- ${staging}\ntar -xpof -`;
  try {
    await remote.script(script, {
      name: job.name,
      asRoot: job.asRoot,
      input,
      timeout: TIMEOUT_S + total / SLOWEST_BYTES_PER_S,
    });
    await packed;
  } catch (error) {
    // Where packing failed, that is the cause: the other side only saw too little.
    if (tar.exitCode !== null && tar.exitCode !== 0) await packed;
    throw error;
  } finally {
    input.destroy();
    tar.kill('SIGKILL');
  }
}

/** Lists go in as here-documents of names, one a line: names hold no line breaks, and a quoted document is taken as it is. */
function commitScript(
  here: ReadonlyMap<string, FolderEntry>,
  there: ReadonlyMap<string, FolderEntry>,
  { folders, send, mode, extra }: FolderDifference,
  remoteFolder: string,
  staging: string,
): string {
  const end = `end-${randomUUID()}`;
  const each = (body: string, lines: readonly string[]): string =>
    lines.length === 0 ? '' : `while IFS= read -r p; do\n${body}\ndone <<'${end}'\n${lines.join('\n')}\n${end}\n`;
  const withMode = (paths: readonly string[]): string[] =>
    paths.flatMap((path) => {
      const entry = here.get(path);
      return entry && entry.kind !== 'link' ? [`${entry.mode.toString(8)} ./${path}`] : [];
    });
  const chmod = `chmod "\${p%% *}" "\${p#* }"`;
  const fresh = there.size === 0;
  const made = folders.filter((path) => path !== '' && there.get(path)?.kind !== 'folder').map((path) => `./${path}`);
  const target = shellQuote(remoteFolder);
  return [
    // In a staging folder that has everything, the folders are made first, and then it is renamed as a whole.
    'set -e\numask 022\nhere=$PWD\n',
    `cd -- ${shellQuote(staging)}\nstaging=$PWD\ncd -- "$here"\n`,
    fresh ? `cd -- "$staging"\n` : `cd -- ${target}\n`,
    each(
      'rm -rf -- "$p"',
      extra.map((path) => `./${path}`),
    ),
    // Tar has made the folders that files came in; in a fresh one they only want their modes.
    each(`[ -d "$p" ] && [ ! -L "$p" ] || { rm -f -- "$p"; mkdir -- "$p"; }`, made),
    fresh
      ? ''
      : each(
          `[ -d "$p" ] && [ ! -L "$p" ] && rm -rf -- "$p"\nmv -f -- "$staging/$p" "$p"`,
          send.map((path) => `./${path}`),
        ),
    each(chmod, withMode(mode)),
    each(chmod, withMode([...folders].reverse())),
    fresh
      ? `cd -- "$here"\n[ ! -e ${target} ] || [ -d ${target} ] || rm -f -- ${target}\nmv -T -- "$staging" ${target}\n`
      : '',
  ].join('');
}
