import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { Clock } from '../../contracts/clock.ts';
import { setStanding } from './standing.ts';

/** It ends when its orders end, after the one that it carries out. */
const END_DEADLINE_MS = 5000;

export interface LauncherOptions {
  /** The scripts of the launcher and of its shims. */
  scripts: { launcher: string; shim: string };
  /** Where its pipes are; nobody else's files. */
  folder: string;
  /** The environment of the shims; a task's own comes with its order. */
  env: Record<string, string>;
  clock: Clock;
  /** Whether tasks may write to the daemon's own standard output and error. */
  ownStreams: boolean;
  /** The niceness that it, its shims and their tasks are to have; null: the daemon's. */
  nice: number | null;
}

interface Listener {
  /** A line that it or one of its shims says; these may go on after its end. */
  onNews(line: string): void;
  /** It has ended, or could not be started. */
  onEnd(why: string): void;
}

/** The process of a launcher (see shim-script.ts): orders go in and news come out, both in lines. */
export class LauncherProcess {
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  #rest = '';

  /** `tag`: how the names of its pipes begin. */
  constructor({ scripts, folder, env, clock, ownStreams, nice }: LauncherOptions, tag: string, listener: Listener) {
    this.#clock = clock;
    const own = ownStreams ? ([1, 2] as const) : (['ignore', 'ignore'] as const);
    this.#child = spawn('/bin/sh', [scripts.launcher, scripts.shim, tag], {
      detached: true,
      cwd: folder,
      env,
      stdio: ['pipe', 'ignore', 'ignore', 'pipe', 'ignore', ...own],
    });
    // Before its first order, so all that it starts inherits it.
    if (this.#child.pid !== undefined) setStanding(this.#child.pid, { nice, oomScore: null });
    this.#child.unref();
    this.#child.once('error', (error) => listener.onEnd(error.message));
    this.#child.once('exit', (code, signal) => listener.onEnd(`it ended (${signal ?? code})`));
    this.#child.stdin?.on('error', () => undefined); // its exit is told
    const news = this.#news;
    news?.on('error', () => undefined);
    news?.setEncoding('latin1').on('data', (text: string) => {
      const lines = (this.#rest + text).split('\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) listener.onNews(line);
    });
  }

  send(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** It gets no more orders, and so ends; nothing is heard any more. */
  close(): void {
    this.#child.stdin?.destroy();
    this.#news?.destroy();
  }

  /** Resolves when it has ended. */
  ended(): Promise<void> {
    const child = this.#child;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      const deadline = this.#clock.timer(END_DEADLINE_MS, () => this.kill());
      child.ref();
      child.once('exit', () => {
        deadline.cancel();
        resolve();
      });
    });
  }

  get #news(): Readable | null {
    return (this.#child.stdio[3] as Readable | null | undefined) ?? null;
  }
}
