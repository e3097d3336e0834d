import { readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { ProcessTable } from '../contracts/process-table.ts';
import { CerebroError, messageOf, systemCode } from '../errors.ts';
import type { SitterFile } from '../model/sitter-file.ts';
import { LOG_FILE } from './last-words.ts';

/** How a process is started: again, just as it was. */
export interface Launch {
  program: string;
  args: readonly string[];
  cwd: string;
  env: Readonly<Record<string, string>>;
}

/** Flags that a bin stands for. */
const FIRST_FLAGS: Readonly<Record<string, readonly string[]>> = {
  machinesitter: ['--mode', 'machine'],
  clustersitter: ['--mode', 'cluster'],
};

/** A daemon that runs, as /proc shows it. */
export class RunningDaemon {
  readonly file: SitterFile;
  readonly dataDir: string;
  /** What starts this very program again. */
  readonly launch: Launch;
  readonly #processes: ProcessTable;

  private constructor(file: SitterFile, dataDir: string, launch: Launch, processes: ProcessTable) {
    this.file = file;
    this.dataDir = dataDir;
    this.launch = launch;
    this.#processes = processes;
  }

  /** Throws `forbidden` for the daemon of another user: what is started in its place would be ours, and not his. */
  static read(file: SitterFile, dataDir: string, processes: ProcessTable): RunningDaemon {
    const { pid } = file;
    try {
      const { uid } = statSync(`/proc/${pid}`);
      if (uid !== process.getuid?.())
        throw new CerebroError(
          'forbidden',
          `the daemon (pid ${pid}) runs as user ${uid}, and this command as user ${process.getuid?.()}: call it as that user`,
        );
      const [, ...args] = listAt(`/proc/${pid}/cmdline`);
      const launch = {
        program: readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, ''),
        args,
        cwd: readlinkSync(`/proc/${pid}/cwd`),
        env: Object.fromEntries(listAt(`/proc/${pid}/environ`).map((line) => pairOf(line))),
      };
      return new RunningDaemon(file, dataDir, launch, processes);
    } catch (error) {
      if (error instanceof CerebroError) throw error;
      const hasEnded = ['ENOENT', 'ESRCH'].includes(systemCode(error) ?? '');
      const what = hasEnded ? 'has just ended' : `cannot be looked at (${messageOf(error)})`;
      throw new CerebroError('unavailable', `the daemon (pid ${pid}) ${what}: nothing was done`, { cause: error });
    }
  }

  get isThere(): boolean {
    const info = this.#processes.read(this.file.pid);
    return info?.startTime === this.file.startTime && info.state !== 'Z';
  }

  get version(): string {
    return this.file.version ?? 'of another version';
  }

  /** Its flags and words without program and script, as `main.js` takes them. */
  get flags(): readonly string[] {
    const { args } = this.launch;
    const script = args.findIndex((word) => /(^|\/)(main\.[jt]s|cerebro|machinesitter|clustersitter)$/.test(word));
    return [...(FIRST_FLAGS[basename(args[script] ?? '')] ?? []), ...args.slice(script + 1)];
  }

  /** Whether it was started by `--daemon`: leader of a session of its own, with its log in the data folder. */
  get inBackground(): boolean {
    const { pid } = this.file;
    const log = linkAt(`/proc/${pid}/fd/2`);
    return this.#processes.read(pid)?.session === pid && log === join(realpathSync(this.dataDir), LOG_FILE);
  }

  /** The service of systemd that it is in the group of; undefined: of none. */
  get unitByGroup(): string | undefined {
    for (const line of linesAt(`/proc/${this.file.pid}/cgroup`)) {
      const unit = /^(?:0::|\d+:name=systemd:).*\/([^/]+\.service)$/.exec(line)?.[1];
      if (unit !== undefined) return unit;
    }
    return undefined;
  }

  /** Safe for its tasks, which do not need it. */
  kill(): void {
    if (this.isThere) process.kill(this.file.pid, 'SIGKILL');
  }
}

function listAt(path: string): string[] {
  return readFileSync(path, 'utf8').split('\0').slice(0, -1);
}

function linesAt(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return []; // it has ended; who asks finds that out
  }
}

function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function pairOf(line: string): [string, string] {
  const at = line.indexOf('=');
  return [line.slice(0, at), line.slice(at + 1)];
}
