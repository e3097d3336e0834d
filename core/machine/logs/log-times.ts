import { appendFileSync, type FSWatcher, readFileSync, renameSync, statSync, watch, writeFileSync } from 'node:fs';
import type { Clock, Timer } from '../../contracts/clock.ts';

/** How often the ends of logs that grow are noted: what was written within this time has no order between the streams. */
const LOOK_MS = 100;
/** How often it is looked at what cannot be watched. */
const UNWATCHED_MS = 1000;
/** Marks that are kept of a run; beyond that every second of the older ones goes. */
const MAX_MARKS = 4096;
const EXACT_MARKS = 1024;

/** Everything before these offsets was written by this time (ms since the epoch). */
export interface TimeMark {
  at: number;
  stdout: number;
  stderr: number;
}

type Ends = Omit<TimeMark, 'at'>;

/**
 * Notes how long the logs of a run were at what time, so that its streams can be merged and read from a time on. A task writes
 * straight into its files, without us: the only trace of time is how the files grow. Logs at rest cost a watch each.
 */
export class LogTimes {
  readonly #path: string;
  readonly #logs: readonly string[];
  readonly #ends: () => Ends;
  readonly #clock: Clock;
  #watchers: FSWatcher[] = [];
  #timer: Timer | null = null;
  #last: Ends = { stdout: -1, stderr: -1 };
  #count = 0;
  #stopped = false;

  /** `logs`: the files to watch. `ends`: where the next byte of each stream will be. */
  constructor(options: { path: string; logs: readonly string[]; ends: () => Ends; clock: Clock }) {
    this.#path = options.path;
    this.#logs = options.logs;
    this.#ends = options.ends;
    this.#clock = options.clock;
  }

  start(): void {
    this.#count = readTimes(this.#path).length;
    this.#look();
  }

  stop(): void {
    if (this.#stopped) return;
    this.#note();
    this.#stopped = true;
    this.#timer?.cancel();
    this.#rest(false);
  }

  #look(): void {
    if (this.#stopped) return;
    const grew = this.#note();
    this.#timer?.cancel();
    this.#timer = null;
    if (grew) {
      this.#rest(false);
      this.#timer = this.#clock.timer(LOOK_MS, () => this.#look());
    } else this.#rest(true);
  }

  /** Watches logs that do not grow, or stops that. */
  #rest(atRest: boolean): void {
    if (!atRest) {
      for (const watcher of this.#watchers.splice(0)) watcher.close();
      return;
    }
    if (this.#watchers.length > 0) return;
    const wake = (): void => this.#look();
    try {
      for (const path of this.#logs) {
        const watcher = watch(path, wake);
        watcher.on('error', wake);
        this.#watchers.push(watcher);
      }
      // It may have grown between the look and the watch.
      if (this.#differs(this.#ends())) this.#look();
    } catch {
      // The host's watches are spent, or a file is gone.
      this.#rest(false);
      this.#timer = this.#clock.timer(UNWATCHED_MS, wake);
    }
  }

  #differs({ stdout, stderr }: Ends): boolean {
    return stdout !== this.#last.stdout || stderr !== this.#last.stderr;
  }

  #note(): boolean {
    const ends = this.#ends();
    if (!this.#differs(ends)) return false;
    this.#last = ends;
    try {
      appendFileSync(this.#path, `${this.#clock.now()} ${ends.stdout} ${ends.stderr}\n`, { mode: 0o640 });
      this.#count += 1;
      if (this.#count > MAX_MARKS) this.#thin();
    } catch {
      // A full disk, or the run's folder is gone: the order of these lines is lost, and nothing else.
    }
    return true;
  }

  #thin(): void {
    const marks = readTimes(this.#path);
    const exact = marks.length - EXACT_MARKS;
    const kept = marks.filter((_mark, i) => i >= exact || i % 2 === 0);
    const text = kept.map(({ at, stdout, stderr }) => `${at} ${stdout} ${stderr}\n`).join('');
    writeFileSync(`${this.#path}.new`, text, { mode: 0o640 });
    renameSync(`${this.#path}.new`, this.#path);
    this.#count = kept.length;
  }
}

/** The marks of a run, oldest first; none where none were kept. Lines that were damaged are passed over. */
export function readTimes(path: string): TimeMark[] {
  let text: string;
  try {
    if (statSync(path).size > 64 * MAX_MARKS) return [];
    text = readFileSync(path, 'latin1');
  } catch {
    return [];
  }
  const marks: TimeMark[] = [];
  for (const line of text.split('\n')) {
    const found = /^(\d{1,15}) (\d{1,15}) (\d{1,15})$/.exec(line);
    if (found) marks.push({ at: Number(found[1]), stdout: Number(found[2]), stderr: Number(found[3]) });
  }
  return marks;
}

/** The offset in a stream from which on everything was written after `since` (ms since the epoch), and perhaps a little before. */
export function offsetSince(marks: readonly TimeMark[], stream: 'stdout' | 'stderr', since: number): number {
  let offset = 0;
  for (const mark of marks) {
    if (mark.at > since) break;
    offset = mark[stream];
  }
  return offset;
}
