import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, realpathSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { CerebroError, messageOf } from '../../core/errors.ts';
import { packedFiles } from './packed-files.ts';

/** What Node calls an architecture, and what `uname -m` may call it. */
export const ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: 'x64',
  amd64: 'x64',
  aarch64: 'arm64',
  arm64: 'arm64',
  armv7l: 'arm',
  ppc64le: 'ppc64',
  s390x: 's390x',
  riscv64: 'riscv64',
};

const TAR_DEADLINE_MS = 300_000;
/** Packages of programs that are kept in the cache, the newest; each may be there twice, packed in two ways. */
const KEPT = 6;

/** zstd packs the Node runtime a sixth smaller, and is unpacked in a quarter of the time; gzip is everywhere. */
export type Packer = 'gzip' | 'zstd';
const ENDINGS: Record<Packer, string> = { gzip: 'gz', zstd: 'zst' };
/** As the program after `tar -I`. Level 9 takes half of gzip's time; 12 takes more than twice as long for a hundredth. */
const COMMANDS: Record<Packer, string> = { gzip: 'gzip -n', zstd: 'zstd -q -9' };

/** Something packed: a tarball in the cache, named after what is in it. */
export interface Packed {
  name: string;
  packer: Packer;
  path: string;
  /** Bytes of the tarball, and of what comes out of it. */
  bytes: number;
  unpacked: number;
  /** Of the tarball, in hex. */
  sha256: string;
}

export interface SitterPackageOptions {
  /** Where tarballs are kept. */
  cache: string;
  /** How this program is started (the service `selfCommand`): its own files are what is packed. */
  selfCommand: readonly string[];
  /** Node's program for other architectures than this host's, by Node's name of them. */
  runtimes?: Readonly<Record<string, string>>;
}

/** Packs this very program and its Node runtime, each once for a content, for machines to which nothing but files can be brought. */
export class SitterPackage {
  readonly #options: SitterPackageOptions;
  readonly #made = new Map<string, Promise<Packed>>();
  #zstd: Promise<boolean> | null = null;

  constructor(options: SitterPackageOptions) {
    this.#options = options;
  }

  /** The better one of those that both hosts have. */
  async packer(targetHasZstd: boolean): Promise<Packer> {
    if (!targetHasZstd) return 'gzip';
    this.#zstd ??= hasZstd();
    return (await this.#zstd) ? 'zstd' : 'gzip';
  }

  /** Whatever a machine sitter loads, with templates and npm packages. */
  program(packer: Packer): Promise<Packed> {
    return this.#once(`program ${packer}`, () => this.#packProgram(packer));
  }

  /** Throws `unsupported` for an architecture that there is no runtime for. */
  runtime(arch: string, packer: Packer): Promise<Packed> {
    return this.#once(`${arch} ${packer}`, () => this.#packRuntime(arch, packer));
  }

  /** What has failed is tried again by whoever asks next: a full disk may have room by then. */
  #once(key: string, make: () => Promise<Packed>): Promise<Packed> {
    const known = this.#made.get(key);
    if (known) return known;
    const made = make().catch((error: unknown) => {
      this.#made.delete(key);
      throw error;
    });
    this.#made.set(key, made);
    return made;
  }

  async #packProgram(packer: Packer): Promise<Packed> {
    const { files, pluginsJson, version } = await packedFiles(this.#root());
    const hash = createHash('sha256').update(pluginsJson);
    let unpacked = Buffer.byteLength(pluginsJson);
    for (const { from, to } of files.sort((a, b) => (a.to < b.to ? -1 : 1))) {
      const content = await readFile(from);
      unpacked += content.length;
      hash.update(`\0${to}\0${content.length}\0`).update(content);
    }
    const name = `cerebro-${version}-${hash.digest('hex').slice(0, 12)}`;
    const packed = await this.#pack({ name, packer, unpacked }, async (stage) => {
      for (const folder of new Set(files.map(({ to }) => dirname(join(stage, to)))))
        await mkdir(folder, { recursive: true, mode: 0o755 });
      for (const { from, to } of files) await copyFile(from, join(stage, to));
      await writeFile(join(stage, 'plugins.json'), pluginsJson);
    });
    await this.#prune();
    return packed;
  }

  async #packRuntime(arch: string, packer: Packer): Promise<Packed> {
    const given = this.#options.runtimes?.[arch];
    if (given === undefined && arch !== process.arch) {
      throw new CerebroError(
        'unsupported',
        `there is no Node runtime for it: this host's own is for ${process.arch}, and none is named for ${arch} (runtimes: {${arch}: /path/to/node})`,
      );
    }
    const path = realpathSync(given ?? process.execPath);
    const content = await readFile(path);
    const version =
      given === undefined ? process.version : createHash('sha256').update(content).digest('hex').slice(0, 12);
    const name = `node-${version}-linux-${arch}`;
    return this.#pack({ name, packer, unpacked: content.length }, async (stage) => {
      await mkdir(join(stage, 'bin'));
      await copyFile(path, join(stage, 'bin', 'node'));
      await chmod(join(stage, 'bin', 'node'), 0o755);
    });
  }

  /** From the cache, or made by `fill` in a folder of its own. It appears in the cache whole. */
  async #pack(
    what: Pick<Packed, 'name' | 'packer' | 'unpacked'>,
    fill: (stage: string) => Promise<void>,
  ): Promise<Packed> {
    const { cache } = this.#options;
    const path = join(cache, `${what.name}.tar.${ENDINGS[what.packer]}`);
    if (!existsSync(path)) {
      await mkdir(cache, { recursive: true, mode: 0o700 });
      const stage = await mkdtemp(join(cache, '.stage-'));
      try {
        const content = join(stage, 'content');
        await mkdir(content, { mode: 0o755 });
        await fill(content);
        // Sorted, without times and owners: the same content makes the same tarball, so it is uploaded once.
        const plain = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
        await runTar([...plain, '-I', COMMANDS[what.packer], '-cf', join(stage, 'tarball'), '-C', content, '.']);
        await rename(join(stage, 'tarball'), path);
      } finally {
        await rm(stage, { recursive: true, force: true });
      }
    }
    const hash = createHash('sha256');
    await pipeline(createReadStream(path), hash);
    return { ...what, path, bytes: (await stat(path)).size, sha256: hash.digest('hex') };
  }

  async #prune(): Promise<void> {
    const { cache } = this.#options;
    const names = (await readdir(cache)).filter((name) => /^cerebro-.*\.tar\.(gz|zst)$/.test(name));
    const dated = await Promise.all(names.map(async (name) => ({ name, at: (await stat(join(cache, name))).mtimeMs })));
    for (const { name } of dated.sort((a, b) => b.at - a.at).slice(KEPT)) await rm(join(cache, name), { force: true });
  }

  /** The folder of this program's package.json. */
  #root(): string {
    const main = this.#options.selfCommand.find((word) => /core\/main\.[jt]s$/.test(word));
    for (let folder = dirname(main ?? '/'); folder !== dirname(folder); folder = dirname(folder)) {
      const manifest = join(folder, 'package.json');
      if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).name === 'cerebro') return folder;
    }
    throw new CerebroError('internal', 'the folder of this program was not found; nothing can be packed for machines');
  }
}

function hasZstd(): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn('zstd', ['--version'], { stdio: 'ignore', timeout: TAR_DEADLINE_MS });
    child.once('error', () => resolve(false));
    child.once('close', (code) => resolve(code === 0));
  });
}

function runTar(args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('tar', args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: TAR_DEADLINE_MS });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-500);
    });
    child.once('error', (error) =>
      reject(new CerebroError('unsupported', `tar could not be started on this host: ${messageOf(error)}`)),
    );
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else if (/No space left/.test(said))
        reject(new CerebroError('no_space', 'no space for packages in the data folder'));
      else reject(new CerebroError('internal', `tar ended with ${code ?? signal}: ${said.trim()}`));
    });
  });
}
