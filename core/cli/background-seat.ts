import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CerebroError } from '../errors.ts';
import type { DaemonSeat } from './daemon-seat.ts';
import { LOG_FILE, lastWords } from './last-words.ts';
import type { Release } from './release.ts';
import type { Launch, RunningDaemon } from './running-daemon.ts';

const END_MS = 30_000;
const LOOK_MS = 50;

/** A daemon in the background is started by nobody but us: a process in a session of its own, as `--daemon` makes it. */
export class BackgroundSeat implements DaemonSeat {
  readonly name = 'in the background';
  readonly #daemon: RunningDaemon;
  readonly #logFile: string;
  #child: ChildProcess | null = null;
  #failure: Error | null = null;
  /** Where the words of what was started last begin in the log. */
  #said = 0;

  constructor(daemon: RunningDaemon) {
    this.#daemon = daemon;
    this.#logFile = join(daemon.dataDir, LOG_FILE);
  }

  async check(): Promise<void> {
    closeSync(openSync(this.#logFile, 'a', 0o600));
  }

  async put(release: Release, end: () => Promise<void>): Promise<void> {
    const { launch, flags } = this.#daemon;
    await end();
    this.#start({ ...launch, program: process.execPath, args: [release.main, ...flags] });
  }

  async putBack(): Promise<void> {
    await this.#end();
    this.#start(this.#daemon.launch);
  }

  async pid(): Promise<number | undefined> {
    return this.#child?.pid;
  }

  async hopeless(): Promise<string | undefined> {
    if (this.#failure) return `it could not be started: ${this.#failure.message}`;
    const { exitCode = null, signalCode = null } = this.#child ?? {};
    if (exitCode === null && signalCode === null) return undefined;
    return `it ended with ${exitCode ?? signalCode}: ${lastWords(this.#logFile, this.#said)} (all of it: ${this.#logFile})`;
  }

  #start({ program, args, cwd, env }: Launch): void {
    const log = openSync(this.#logFile, 'a', 0o600);
    try {
      this.#said = statSync(this.#logFile).size;
      this.#failure = null;
      const child = spawn(program, args, { cwd, env, detached: true, stdio: ['ignore', log, log] });
      child.once('error', (error) => {
        this.#failure = error;
      });
      child.unref();
      this.#child = child;
    } finally {
      closeSync(log);
    }
  }

  /** Ends what did not come up, with the one signal that never ends tasks, whatever its settings say. */
  async #end(): Promise<void> {
    const child = this.#child;
    if (!child?.pid) return;
    child.kill('SIGKILL');
    for (const until = performance.now() + END_MS; performance.now() < until; ) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    throw new CerebroError('timeout', `pid ${child.pid} does not end, and is in the way of the daemon from before`);
  }
}
