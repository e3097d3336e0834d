import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmod, copyFile, mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import type { PutFolderOptions, PutOptions, Remote, RunOptions, RunResult } from '../../core/contracts/remote.ts';
import { CerebroError, systemCode } from '../../core/errors.ts';
import { CommandOutput, lastWords } from '../remotes/command-output.ts';
import { checkedOwner, ownerMatches, sha256OfFile } from '../remotes/file-facts.ts';
import { feed, fileInput } from '../remotes/file-input.ts';
import { putFolderHere } from '../remotes/local-folder.ts';
import { checkVariable } from '../remotes/shell-quote.ts';

const DEFAULT_TIMEOUT_S = 600;
/** For what a command wrote just before its end to arrive, when something else holds its pipes open. */
const LAST_WORDS_MS = 500;

/** Hands on a local machine: commands run on this host, in the machine's own folder, with its mark in their environment. */
export class LocalRemote implements Remote {
  readonly #folder: string;
  readonly #env: Record<string, string>;
  readonly #running = new Set<() => void>();
  #closed = false;

  constructor(folder: string, env: Record<string, string>) {
    this.#folder = folder;
    this.#env = env;
  }

  async run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const [program, ...args] = argv;
    if (program === undefined) throw new CerebroError('invalid', 'run: the list of arguments is empty');
    for (const name of Object.keys(options.env ?? {})) checkVariable(name);
    const input = options.inputFile === undefined ? undefined : await fileInput(options.inputFile, options);
    if (this.#closed) {
      input?.destroy();
      throw new CerebroError('unavailable', `${program} was not started: the remote was closed before`);
    }
    return new Promise((resolve, reject) => {
      const child = spawn(program, args, {
        cwd: options.cwd === undefined ? this.#folder : this.#path(options.cwd),
        env: {
          PATH: process.env.PATH ?? '/usr/bin:/bin',
          HOME: this.#folder,
          LANG: process.env.LANG ?? 'C',
          ...options.env,
          ...this.#env,
        },
        detached: true,
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      const output = { stdout: new CommandOutput('stdout', options), stderr: new CommandOutput('stderr', options) };
      child.stdout.on('data', (chunk: Buffer) => output.stdout.take(chunk));
      child.stderr.on('data', (chunk: Buffer) => output.stderr.take(chunk));
      child.stdin.on('error', () => undefined); // a command need not read what it is given
      if (input) feed(child.stdin, input);
      else child.stdin.end(options.input ?? '');
      let late = false;
      const killGroup = (): void => {
        try {
          if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
        } catch {
          // it has ended
        }
      };
      const hangUp = (): void => {
        child.stdout.destroy();
        child.stderr.destroy();
      };
      const timeout = options.timeout ?? DEFAULT_TIMEOUT_S;
      // Rejects by itself: a child in a session of its own is not killed, and holds the pipes open for as long as it likes.
      const timer = setTimeout(() => {
        late = true;
        killGroup();
        hangUp();
        reject(new CerebroError('timeout', `${program} did not end within ${timeout} s and was killed`));
      }, timeout * 1000);
      let lastWordsTimer: NodeJS.Timeout | undefined;
      this.#running.add(killGroup);
      const over = (): void => {
        clearTimeout(timer);
        clearTimeout(lastWordsTimer);
        this.#running.delete(killGroup);
      };
      child.once('error', (error) => {
        over();
        const missing =
          systemCode(error) === 'ENOENT'
            ? `there is no program "${program}" (or no folder to run it in)`
            : error.message;
        reject(new CerebroError('invalid', `${program} could not be started: ${missing}`));
      });
      child.once('exit', () => {
        clearTimeout(timer);
        // Also here, what it left running may hold the pipes; what is in them by then is read before they are given up.
        lastWordsTimer = setTimeout(() => setImmediate(hangUp), LAST_WORDS_MS);
      });
      child.once('close', (code, signal) => {
        over();
        if (late) return;
        output.stdout.end();
        output.stderr.end();
        const result = { code: code ?? 128, stdout: output.stdout.text, stderr: output.stderr.text };
        if (result.code === 0 || (options.allowFailure && signal === null)) resolve(result);
        else
          reject(
            new CerebroError(
              'invalid',
              `${program} ${signal ? `was ended by ${signal}` : `exited with code ${code}`}: ${lastWords(result)}`,
            ),
          );
      });
    });
  }

  sudo(argv: readonly string[], options?: RunOptions): Promise<RunResult> {
    return process.getuid?.() === 0 ? this.run(argv, options) : this.run(['sudo', '-n', '--', ...argv], options);
  }

  async put(localPath: string, remotePath: string, options: PutOptions = {}): Promise<boolean> {
    const { mode, size } = await stat(localPath);
    const wanted = { mode: options.mode ?? mode & 0o777, owner: this.#owner(options) };
    const target = this.#path(remotePath);
    if (await hasContentOf(localPath, target)) {
      if (await this.#isDressed(target, wanted)) return false;
      await this.#dress(target, wanted);
      return true;
    }
    await this.#replace(target, wanted, (part) => copyFile(localPath, part));
    options.onProgress?.(size, size);
    return true;
  }

  async write(text: string, remotePath: string, options: PutOptions = {}): Promise<void> {
    const wanted = { mode: options.mode ?? 0o644, owner: this.#owner(options) };
    await this.#replace(this.#path(remotePath), wanted, (part) => writeFile(part, text, { mode: 0o600 }));
  }

  async putFolder(localFolder: string, remoteFolder: string, options: PutFolderOptions = {}): Promise<number> {
    const owner = this.#owner(options);
    const target = this.#path(remoteFolder);
    const changed = await putFolderHere(localFolder, target, options);
    if (owner !== undefined) await this.run(['chown', '-hR', '--', owner, target]);
    return changed;
  }

  async get(remotePath: string, localPath: string): Promise<void> {
    const part = partOf(localPath);
    try {
      await copyFile(this.#path(remotePath), part);
      await rename(part, localPath);
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const kill of this.#running) kill();
    this.#running.clear();
  }

  async #replace(target: string, wanted: Dress, fill: (part: string) => Promise<void>): Promise<void> {
    await mkdir(dirname(target), { recursive: true });
    const part = partOf(target);
    try {
      await fill(part);
      await this.#dress(part, wanted);
      await rename(part, target);
    } catch (error) {
      await rm(part, { force: true });
      if (systemCode(error) === 'ENOSPC')
        throw new CerebroError('no_space', `the disk is full: ${target} could not be written`, { cause: error });
      throw error;
    }
  }

  async #isDressed(path: string, { mode, owner }: Dress): Promise<boolean> {
    if (((await stat(path)).mode & 0o777) !== mode) return false;
    if (owner === undefined) return true;
    const { stdout } = await this.run(['stat', '-c', '%U:%G %u:%g', '--', path]);
    return ownerMatches(owner, stdout.trim().split(' '));
  }

  async #dress(path: string, { mode, owner }: Dress): Promise<void> {
    if (owner !== undefined) await this.run(['chown', '--', owner, path]);
    await chmod(path, mode);
  }

  #owner({ owner, sudo }: PutOptions): string | undefined {
    if ((owner !== undefined || sudo) && process.getuid?.() !== 0) {
      const text = 'files of other owners can be written on a local machine only by a cluster sitter that is root';
      throw new CerebroError('unsupported', text);
    }
    return checkedOwner(owner);
  }

  /** A relative path is in the machine's folder, as on a real machine it would be in the user's home. */
  #path(path: string): string {
    return isAbsolute(path) ? path : join(this.#folder, path);
  }
}

interface Dress {
  mode: number;
  owner: string | undefined;
}

/** A name of its own for each transfer: two may write the same file at once, and the last one wins whole. */
function partOf(path: string): string {
  return `${path}.${randomUUID().slice(0, 8)}.part`;
}

async function hasContentOf(a: string, b: string): Promise<boolean> {
  try {
    return (await sha256OfFile(a)) === (await sha256OfFile(b));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}
