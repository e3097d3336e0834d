import { closeSync, openSync, readSync, watch, writeFileSync } from 'node:fs';
import { pause, until } from './bench-daemon.ts';

/** The file in which every start of a task is one line, `NAME PID`. */
export class Marks {
  readonly path: string;
  readonly pids = new Map<string, number>();
  readonly #file: number;
  #rest = '';

  constructor(path: string) {
    this.path = path;
    writeFileSync(path, '');
    this.#file = openSync(path, 'r');
  }

  /** What a task does first; `exec`, so that the pid in the file is the one that its parent waits for. */
  commandOf(name: string): string {
    return `${this.markOf(name)}; exec sleep 1000`;
  }

  /** The line of a shell that marks a start. */
  markOf(name: string): string {
    return `echo "${name} $$" >>'${this.path}'`;
  }

  /** Reads on, and returns the names that are new. */
  read(): string[] {
    const bytes = Buffer.alloc(65_536);
    const length = readSync(this.#file, bytes, 0, bytes.length, null);
    const lines = (this.#rest + bytes.toString('latin1', 0, length)).split('\n');
    this.#rest = lines.pop() ?? '';
    return lines.map((line) => {
      const [name = '', pid = ''] = line.split(' ');
      this.pids.set(name, Number(pid));
      return name;
    });
  }

  /** Resolves a second after all of them have started: the first start of so many is work that goes on for a while. */
  async started(names: readonly string[], deadlineMs?: number): Promise<void> {
    const all = (): true | undefined => {
      this.read();
      return names.every((name) => this.pids.has(name)) || undefined;
    };
    await until('the start of all tasks', all, 5, deadlineMs);
    await pause(1000);
  }

  /** Kills the task and resolves to the milliseconds until the next start of it. */
  restart(name: string): Promise<number> {
    const pid = this.pids.get(name);
    if (pid === undefined) throw new Error(`${name} does not run`);
    return new Promise((resolve, reject) => {
      const watcher = watch(this.path, () => {
        const now = performance.now();
        if (!this.read().includes(name)) return;
        done();
        resolve(now - start);
      });
      const tooLong = setTimeout(() => {
        done();
        reject(new Error(`${name} was not started again within 10 s`));
      }, 10_000);
      const done = (): void => {
        clearTimeout(tooLong);
        watcher.close();
      };
      const start = performance.now();
      process.kill(pid, 'SIGKILL');
    });
  }

  close(): void {
    closeSync(this.#file);
  }
}
