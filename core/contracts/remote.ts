export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** Text for its standard input. */
  input?: string;
  /**
   * A local file for its standard input, instead of text: what unpacks it there needs no copy of it. A command that ends early is not an
   * error of the transfer.
   */
  inputFile?: string;
  /** Bytes of `inputFile` that have gone out, of how many; called often. */
  onInput?: (sent: number, total: number) => void;
  /** Seconds; default 600. Over it the command's whole group is killed and `timeout` thrown. */
  timeout?: number;
  /** Each line as it comes. */
  onLine?: (stream: 'stdout' | 'stderr', line: string) => void;
  /** true: a non-zero code is returned instead of thrown. */
  allowFailure?: boolean;
}

export interface RunResult {
  code: number;
  /** The last 64 KiB of each stream. */
  stdout: string;
  stderr: string;
}

export interface PutOptions {
  /** Permission bits; a copied file has the local one's without it, a written one 0o644. */
  mode?: number;
  /** `user` or `user:group`. Only root can give files away: implies `sudo`. */
  owner?: string;
  /** true: written as root. */
  sudo?: boolean;
  /** The local file's SHA-256 in hex, where the caller knows it: a file that goes to many machines is not read anew for each. */
  sha256?: string;
  /** Bytes that have gone out, of how many; called often. Not called when nothing has to be sent. */
  onProgress?: (sent: number, total: number) => void;
}

export interface PutFolderOptions extends Omit<PutOptions, 'mode' | 'sha256'> {
  /** true: what the target has and the local folder has not is deleted. */
  prune?: boolean;
}

/**
 * Hands on a machine. Arguments are an array and arrive as they are: nothing is pasted into a shell line.
 * Relative paths are in the remote's own folder (the user's home, or a folder in it). Every implementation passes
 * `test/suites/remote-suite.ts`.
 * Throws `timeout`, `unavailable` (no contact), `unauthorized` (no key is accepted), `forbidden` (another host key than before),
 * `no_space`, or `invalid` for a command that failed or a program that is not there.
 */
export interface Remote {
  run(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** As `run`, as root. */
  sudo(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Copies a file; skipped when the target has the same content, mode and owner. Atomic. Resolves to whether anything was changed. */
  put(localPath: string, remotePath: string, options?: PutOptions): Promise<boolean>;
  /**
   * Copies a folder's files, links and folders; those that are there already, equal, are not sent. Each file appears at once and
   * whole; a folder that was not there does so as a whole. Resolves to how many files and links were sent or mended.
   */
  putFolder(localFolder: string, remoteFolder: string, options?: PutFolderOptions): Promise<number>;
  /** Writes text into a file. Atomic. */
  write(text: string, remotePath: string, options?: PutOptions): Promise<void>;
  /** Copies a file from there. The local one appears at once and whole. */
  get(remotePath: string, localPath: string): Promise<void>;
  /** Ends what still runs through this remote. */
  close(): Promise<void>;
}
