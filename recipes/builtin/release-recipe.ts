import { posix } from 'node:path';
import { z } from 'zod';
import { DeploymentRecipe, type RecipeContext } from '../../core/contracts/recipe.ts';
import type { RunOptions } from '../../core/contracts/remote.ts';
import { SLOWEST_BYTES_PER_S, UNPACK } from '../unpack.ts';
import type { FileHashes } from './file-hashes.ts';
import { findRelease, type Release, unpackerOf } from './find-release.ts';

const relative = (path: string): boolean => !path.split('/').includes('..') && !path.startsWith('-');

export const releaseOptions = z.strictObject({
  /** Where the tarballs are, on the cluster sitter's host. */
  release_dir: z.string().min(1),
  /** What the tarballs' names begin with, where several packages share a folder. */
  package: z.string().min(1).optional(),
  /** The folder on the machine; relative to where recipes work there. Default: releases/JOB. */
  target: z.string().min(1).refine(relative, 'a path without ".."').optional(),
  /** How many releases stay, the current one among them. */
  keep: z.number().int().min(1).default(5),
  /** Folders at the head of the tarball's paths that are left away. */
  strip: z.number().int().min(0).max(10).default(0),
  /** Lines for /bin/sh, run in the unpacked release before it becomes the current one. */
  install: z.string().min(1).optional(),
  /** Seconds for unpacking (beside the time that sending takes), and for the install script. */
  timeout: z.number().positive().default(600),
});

/** In a release's folder: it was unpacked and installed to the end. */
const COMPLETE = '.cerebro-complete';

/**
 * Puts a release on the machine: TARGET/releases/NAME.HASH, with TARGET/current pointing to it. What is there already is not sent
 * again, so a roll-back is one rename. Nothing that runs from `current` sees half of a release.
 */
export class ReleaseRecipe extends DeploymentRecipe {
  readonly #hashes: FileHashes;

  constructor(context: RecipeContext, hashes: FileHashes) {
    super(context);
    this.#hashes = hashes;
  }

  async runDeploy(): Promise<void> {
    const options = releaseOptions.parse(this.options);
    const release = await findRelease(options.release_dir, options.package, this.version, this.#hashes);
    const target = options.target ?? `releases/${this.job.replaceAll('/', '_')}`;
    const folder = `${release.name}.${release.sha256.slice(0, 12)}`;
    const { there, current } = await this.#look(target, folder);
    if (there && current) {
      this.logger.info({}, `${release.name} is the current release already`);
      return;
    }
    const complete = there ? '' : await this.#bring(release, target, folder, options);
    await this.#switch(target, folder, { keep: options.keep, complete });
    this.logger.info({}, `${release.name} is the current release`);
  }

  async #look(target: string, folder: string): Promise<{ there: boolean; current: boolean }> {
    const script = `[ ! -e "$1/releases/$2/${COMPLETE}" ] || echo there; [ "$(readlink "$1/current")" != "releases/$2" ] || echo current`;
    const { stdout } = await this.#shell(script, [target, folder]);
    return { there: stdout.includes('there'), current: stdout.includes('current') };
  }

  /** Sends and unpacks it. Returns what is to be done before the switch, for /bin/sh, with the target as "$1" and its folder as "$2". */
  async #bring(
    release: Release,
    target: string,
    folder: string,
    { strip, install, timeout }: z.infer<typeof releaseOptions>,
  ): Promise<string> {
    const sending = `${release.file} is sent and unpacked, ${megabytes(release.bytes)}`;
    this.logger.info({}, sending);
    this.progress(sending, 0);
    const args = [posix.join(target, 'releases', folder), unpackerOf(release.file), release.sha256];
    const flags = strip === 0 ? [] : [`--strip-components=${strip}`];
    // One that is there was not installed to its end: it is made anew.
    await this.#shell(`rm -rf -- "$1"\n${UNPACK}`, [...args, ...flags], {
      inputFile: release.path,
      onInput: (sent, total) => this.progress(sending, total === 0 ? 100 : (sent / total) * 100),
      timeout: timeout + release.bytes / SLOWEST_BYTES_PER_S,
    });
    if (install !== undefined) {
      this.logger.info({}, `${release.name} is installed`);
      this.progress(`${release.name} is installed`);
      await this.remote.run(['/bin/sh', '-eu', '-c', install], {
        cwd: posix.join(target, 'releases', folder),
        env: {
          JOB: this.job,
          COPY: this.copy,
          VERSION: this.version ?? release.name,
          MACHINE: this.machine.id,
          ZONE: this.machine.zone,
          DNS_NAME: this.dnsName ?? '',
        },
        timeout,
        onLine: (stream, line) => this.logger.info({ stream }, line),
      });
    }
    return `: >"$1/releases/$2/${COMPLETE}"`;
  }

  /** One rename; then the oldest go, never the one that was current before. */
  async #switch(target: string, folder: string, { keep, complete }: { keep: number; complete: string }): Promise<void> {
    const script = `
      ${complete}
      cd -- "$1"
      before=$(readlink current || :)
      touch -- "releases/$2"
      ln -sfn -- "releases/$2" ".current.$$"
      mv -T -- ".current.$$" current
      rm -rf -- upload # of an earlier version of this recipe
      ls -1t releases | tail -n +$(($3 + 1)) | while IFS= read -r old; do
        [ "releases/$old" = "$before" ] || [ "$old" = "$2" ] || rm -rf -- "releases/$old"
      done`;
    await this.#shell(script, [target, folder, String(keep)]);
  }

  #shell(
    script: string,
    args: readonly string[],
    options: Pick<RunOptions, 'inputFile' | 'onInput' | 'timeout'> = {},
  ): ReturnType<typeof this.remote.run> {
    return this.remote.run(['/bin/sh', '-eu', '-c', script, 'sh', ...args], options);
  }
}

function megabytes(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
