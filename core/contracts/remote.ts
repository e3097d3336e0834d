export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** Text for its standard input. */
  input?: string;
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

/**
 * Hands on a machine. Arguments are an array and arrive as they are: nothing is pasted into a shell line.
 * Throws `timeout`, `unavailable` (no contact), or `invalid` for a command that failed.
 */
export interface Remote {
  run(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** As `run`, as root. */
  sudo(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Copies a file; skipped when the target has the same content and mode. Atomic. Resolves to whether anything was sent. */
  put(localPath: string, remotePath: string, options?: { mode?: number }): Promise<boolean>;
  /** Writes text into a file. Atomic. */
  write(text: string, remotePath: string, options?: { mode?: number }): Promise<void>;
  get(remotePath: string, localPath: string): Promise<void>;
  close(): Promise<void>;
}
