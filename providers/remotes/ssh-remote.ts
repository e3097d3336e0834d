import { randomUUID } from 'node:crypto';
import { closeSync, createReadStream, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { PutFolderOptions, PutOptions, Remote, RunOptions, RunResult } from '../../core/contracts/remote.ts';
import { CerebroError } from '../../core/errors.ts';
import { lastWords } from './command-output.ts';
import { endCommand } from './end-command.ts';
import { sha256Of, sha256OfFile } from './file-facts.ts';
import { fileInput, READ_BYTES } from './file-input.ts';
import { notBegun } from './not-begun.ts';
import { shellExports, shellQuote, shellWords } from './shell-quote.ts';
import { RunningCommand, type SshCommand, type SshResult } from './ssh-command.ts';
import { where } from './ssh-connection.ts';
import type { SshConnections } from './ssh-connections.ts';
import { putFileOverSsh, sendFileOverSsh } from './ssh-file.ts';
import { putFolderOverSsh } from './ssh-folder.ts';
import type { SshTarget } from './ssh-target.ts';

const DEFAULT_TIMEOUT_S = 600;
/** A text that is shorter is sent without a look at what is there: that would cost as much. */
const SMALL_BYTES = 64 * 1024;
const NO_PROGRAM = 'cerebro-no-such-program';

export interface SshRemoteOptions {
  connections: SshConnections;
  target: SshTarget;
  /** Where commands run and relative paths are, made when it is not there; relative to the user's home. */
  folder?: string | undefined;
  /** What every command finds in its environment, whatever its own says. */
  env?: Readonly<Record<string, string>>;
}

export interface ScriptOptions {
  /** What errors call it. */
  name: string;
  asRoot?: boolean;
  input?: string | Readable;
  /** Seconds. */
  timeout?: number;
  onBytes?: (chunk: Buffer) => void;
}

/** Hands on a machine over SSH. The target needs sshd, a POSIX shell and coreutils or busybox; sudo where the user is not root. */
export class SshRemote implements Remote {
  readonly #connections: SshConnections;
  readonly #target: SshTarget;
  readonly #folder: string | undefined;
  readonly #env: Readonly<Record<string, string>>;
  readonly #aborts = new Set<(error: CerebroError) => void>();
  #closed = false;

  constructor(options: SshRemoteOptions) {
    this.#connections = options.connections;
    this.#target = options.target;
    this.#folder = options.folder;
    this.#env = options.env ?? {};
  }

  /** Where it is, in errors. */
  get place(): string {
    return where(this.#target);
  }

  run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return this.#run(argv, options, false);
  }

  sudo(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return this.#run(argv, options, true);
  }

  async put(localPath: string, remotePath: string, options: PutOptions = {}): Promise<boolean> {
    const { mode, size } = await stat(localPath);
    const hash = options.sha256 ?? (await sha256OfFile(localPath));
    const source = { hash, size, open: () => createReadStream(localPath, { highWaterMark: READ_BYTES }) };
    return putFileOverSsh(this, source, remotePath, { mode: mode & 0o777, ...options });
  }

  async write(text: string, remotePath: string, options: PutOptions = {}): Promise<void> {
    const source = { hash: sha256Of(text), size: Buffer.byteLength(text), open: () => text };
    const put = source.size > SMALL_BYTES ? putFileOverSsh : sendFileOverSsh;
    await put(this, source, remotePath, { mode: 0o644, ...options });
  }

  putFolder(localFolder: string, remoteFolder: string, options: PutFolderOptions = {}): Promise<number> {
    return putFolderOverSsh(this, localFolder, remoteFolder, options);
  }

  async get(remotePath: string, localPath: string): Promise<void> {
    const part = `${localPath}.${randomUUID().slice(0, 8)}.part`;
    const file = openSync(part, 'w', 0o600);
    try {
      await this.script(`exec cat -- ${shellQuote(remotePath)}`, {
        name: `get ${remotePath}`,
        onBytes: (chunk) => writeSync(file, chunk),
      });
      renameSync(part, localPath);
    } finally {
      closeSync(file);
      rmSync(part, { force: true });
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const abort of this.#aborts) abort(new CerebroError('unavailable', 'it was broken off'));
  }

  /** Runs lines for /bin/sh in the remote's folder; what they hold must have been quoted. Throws when their code is not 0. */
  async script(lines: string, options: ScriptOptions): Promise<string> {
    const { name, asRoot = false, timeout = DEFAULT_TIMEOUT_S } = options;
    const script = `export LC_ALL=C\n${shellExports(this.#env)}${this.#goToFolder()}${lines}`;
    const { input, onBytes } = options;
    const command = { name, asRoot, script, ...(input !== undefined && { input }), ...(onBytes && { onBytes }) };
    const result = await this.#perform(command, timeout);
    if (result.code !== 0) throw this.#failure(name, result);
    return result.stdout;
  }

  async #run(argv: readonly string[], options: RunOptions, asRoot: boolean): Promise<RunResult> {
    const [program] = argv;
    if (program === undefined) throw new CerebroError('invalid', 'run: the list of arguments is empty');
    const { cwd, env = {}, timeout = DEFAULT_TIMEOUT_S, onLine, allowFailure } = options;
    const input = options.inputFile === undefined ? (options.input ?? '') : await fileInput(options.inputFile, options);
    const script = [
      `${this.#goToFolder()}${cwd === undefined ? '' : `cd -- ${shellQuote(cwd)} || exit 126\n`}${shellExports({ ...env, ...this.#env })}`,
      `command -v ${shellQuote(program)} >/dev/null 2>&1 || { echo ${NO_PROGRAM} >&2; exit 127; }\n`,
      `exec ${shellWords(argv)}`,
    ].join('');
    const command = { script, input, asRoot, name: program, ...(onLine && { onLine }) };
    const result = await this.#perform(command, timeout).finally(() => {
      // It may never have come so far that somebody took it.
      if (typeof input !== 'string') input.destroy();
    });
    const { code, stdout, stderr } = result;
    if (code === 127 && stderr.trim() === NO_PROGRAM)
      throw new CerebroError(
        'invalid',
        `${program} could not be started on ${where(this.#target)}: there is no program "${program}"`,
      );
    if (code !== null && (code === 0 || allowFailure)) return { code, stdout, stderr };
    throw this.#failure(program, result);
  }

  #goToFolder(): string {
    if (this.#folder === undefined) return '';
    const folder = shellQuote(this.#folder);
    return `mkdir -p -- ${folder} && cd -- ${folder} || exit 126\n`;
  }

  #failure(name: string, result: SshResult): CerebroError {
    const { code, signal } = result;
    const said = lastWords(result);
    const at = `on ${where(this.#target)}`;
    if (/no space left on device/i.test(result.stderr))
      return new CerebroError('no_space', `${name}: the disk ${at} is full: ${said}`);
    return new CerebroError(
      'invalid',
      `${name} ${signal ? `was ended by ${signal}` : `exited with code ${code}`} ${at}: ${said}`,
    );
  }

  /** Runs a command to its end, over the shared connection; at the end of its time it is killed, with its whole group. */
  async #perform(command: SshCommand, timeoutS: number): Promise<SshResult> {
    if (this.#closed) throw new CerebroError('unavailable', `${command.name}: this remote is closed`);
    return this.#connections.use(this.#target, async (connection) => {
      const at = where(connection.target);
      let abort: (error: CerebroError) => void = () => undefined;
      const aborted = new Promise<never>((_resolve, reject) => {
        abort = reject;
      });
      aborted.catch(() => undefined); // whoever races it learns of it
      this.#aborts.add(abort);
      if (this.#closed) abort(new CerebroError('unavailable', 'it was broken off'));
      const late = new CerebroError(
        'timeout',
        `${command.name} did not end within ${timeoutS} s on ${at} and was killed`,
      );
      const timer = setTimeout(() => abort(late), timeoutS * 1000);
      const starting = RunningCommand.start(connection, command);
      try {
        const running = await Promise.race([starting, aborted]);
        const result = await Promise.race([running.done, aborted]);
        if (!result.began) throw notBegun(command, result, connection.target);
        return result;
      } catch (error) {
        await endCommand(connection, starting, command.asRoot);
        throw error;
      } finally {
        clearTimeout(timer);
        this.#aborts.delete(abort);
      }
    });
  }
}
