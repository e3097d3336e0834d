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
/** Packages of programs that are kept in the cache, the newest. */
const KEPT = 3;

/** Something packed: a gzipped tarball in the cache, named after what is in it. */
export interface Packed {
  name: string;
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
  #program: Promise<Packed> | null = null;
  readonly #runtimes = new Map<string, Promise<Packed>>();

  constructor(options: SitterPackageOptions) {
    this.#options = options;
  }

  /** Whatever a machine sitter loads, with templates and npm packages. */
  program(): Promise<Packed> {
    this.#program ??= this.#packProgram().catch((error: unknown) => {
      this.#program = null; // a full disk may have room the next time
      throw error;
    });
    return this.#program;
  }

  /** Throws `unsupported` for an architecture that there is no runtime for. */
  runtime(arch: string): Promise<Packed> {
    const known = this.#runtimes.get(arch);
    if (known) return known;
    const made = this.#packRuntime(arch).catch((error: unknown) => {
      this.#runtimes.delete(arch);
      throw error;
    });
    this.#runtimes.set(arch, made);
    return made;
  }

  async #packProgram(): Promise<Packed> {
    const { files, pluginsJson, version } = await packedFiles(this.#root());
    const hash = createHash('sha256').update(pluginsJson);
    let unpacked = Buffer.byteLength(pluginsJson);
    for (const { from, to } of files.sort((a, b) => (a.to < b.to ? -1 : 1))) {
      const content = await readFile(from);
      unpacked += content.length;
      hash.update(`\0${to}\0${content.length}\0`).update(content);
    }
    const name = `cerebro-${version}-${hash.digest('hex').slice(0, 12)}`;
    const packed = await this.#pack(name, unpacked, async (stage) => {
      for (const folder of new Set(files.map(({ to }) => dirname(join(stage, to)))))
        await mkdir(folder, { recursive: true, mode: 0o755 });
      for (const { from, to } of files) await copyFile(from, join(stage, to));
      await writeFile(join(stage, 'plugins.json'), pluginsJson);
    });
    await this.#prune();
    return packed;
  }

  async #packRuntime(arch: string): Promise<Packed> {
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
    return this.#pack(`node-${version}-linux-${arch}`, content.length, async (stage) => {
      await mkdir(join(stage, 'bin'));
      await copyFile(path, join(stage, 'bin', 'node'));
      await chmod(join(stage, 'bin', 'node'), 0o755);
    });
  }

  /** From the cache, or made by `fill` in a folder of its own. It appears in the cache whole. */
  async #pack(name: string, unpacked: number, fill: (stage: string) => Promise<void>): Promise<Packed> {
    const { cache } = this.#options;
    const path = join(cache, `${name}.tar.gz`);
    if (!existsSync(path)) {
      await mkdir(cache, { recursive: true, mode: 0o700 });
      const stage = await mkdtemp(join(cache, '.stage-'));
      try {
        const content = join(stage, 'content');
        await mkdir(content, { mode: 0o755 });
        await fill(content);
        // Sorted, without times and owners: the same content makes the same tarball, so it is uploaded once.
        const plain = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
        await runTar([...plain, '-czf', join(stage, 'tarball'), '-C', content, '.']);
        await rename(join(stage, 'tarball'), path);
      } finally {
        await rm(stage, { recursive: true, force: true });
      }
    }
    const hash = createHash('sha256');
    await pipeline(createReadStream(path), hash);
    return { name, path, bytes: (await stat(path)).size, unpacked, sha256: hash.digest('hex') };
  }

  async #prune(): Promise<void> {
    const { cache } = this.#options;
    const names = (await readdir(cache)).filter((name) => /^cerebro-.*\.tar\.gz$/.test(name));
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
