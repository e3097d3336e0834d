import { didYouMean } from '../../decide/words/nearest-names.ts';
import { CerebroError } from '../../errors.ts';
import type { LogSource } from '../logs/log-file.ts';
import type { LogKeeper } from '../logs/log-keeper.ts';
import { readTimes, type TimeMark } from '../logs/log-times.ts';
import type { OpenLog, RunLog } from '../logs/run-log.ts';
import type { TaskFiles } from '../records/task-files.ts';
import type { TaskSitter } from './task-sitter.ts';

/** The logs of one task: both streams of every run that is kept. */
export class TaskLogs {
  readonly id: string;
  readonly #sitter: TaskSitter;
  readonly #files: TaskFiles;
  readonly #keeper: LogKeeper;

  constructor(sitter: TaskSitter, files: TaskFiles, keeper: LogKeeper) {
    this.id = sitter.id;
    this.#sitter = sitter;
    this.#files = files;
    this.#keeper = keeper;
  }

  /** The runs that are kept, oldest first. */
  get runs(): number[] {
    return this.#files.runs();
  }

  get newestRun(): number {
    return this.#sitter.run;
  }

  /** The task was removed. */
  get gone(): boolean {
    return this.#sitter.letGo;
  }

  /** When the streams of a run were how long. */
  times(run: number): TimeMark[] {
    return readTimes(this.#files.timesPath(run));
  }

  /** The run that went on at a time (ms since the epoch), or the first that is kept after it. */
  runAt(time: number): number {
    for (const run of this.runs) if ((this.times(run).at(-1)?.at ?? 0) >= time) return run;
    return this.newestRun;
  }

  log(run: number, stream: 'stdout' | 'stderr'): RunLog | undefined {
    const place = this.#files.logPlace(run, stream);
    return place && this.#keeper.log(place);
  }

  /** A stream among others; undefined where there is none that can be read: who asks for that one alone is told why. */
  async open(run: number, stream: 'stdout' | 'stderr'): Promise<OpenLog | undefined> {
    return this.log(run, stream)
      ?.open()
      .catch(() => undefined);
  }

  source(stream: 'stdout' | 'stderr'): LogSource {
    return {
      log: (run) => this.log(run, stream),
      newestRun: () => this.#sitter.run,
      gone: () => this.#sitter.letGo,
      onChange: (listener) => this.#sitter.onRing(listener),
    };
  }
}

/** The one task of a job, or of that name. Throws `not_found` with the nearest names, or `ambiguous` with the candidates. */
export function oneOfJob(name: string, sitters: readonly TaskSitter[]): TaskSitter {
  const copies = sitters.filter(
    (sitter) => sitter.definition.job === name || sitter.definition.configuration.name === name,
  );
  const [only, ...others] = copies;
  if (!only) {
    const known = new Set(sitters.flatMap((sitter) => [sitter.id, sitter.definition.job]));
    throw new CerebroError('not_found', `there is no task "${name}" on this machine${didYouMean(name, known)}`);
  }
  if (others.length > 0) {
    throw new CerebroError(
      'ambiguous',
      `"${name}" has ${copies.length} copies here: say which, ${copies.map((copy) => copy.id).join(', ')}`,
    );
  }
  return only;
}
