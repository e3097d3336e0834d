import type { Clock } from '../../contracts/clock.ts';
import type { LogCondition } from '../../model/task.ts';
import type { LogPlace } from '../records/log-place.ts';
import type { TaskFiles } from '../records/task-files.ts';
import type { KeptLogs, LogKeeper } from './log-keeper.ts';
import { LogTimes } from './log-times.ts';

/** What is done about the logs of one run while it runs: they are held to their size, and it is noted when they grow. */
export class RunLogs {
  readonly #kept: KeptLogs;
  readonly #times: LogTimes;

  private constructor(kept: KeptLogs, times: LogTimes) {
    this.#kept = kept;
    this.#times = times;
  }

  /** null: its logs are no files. */
  static begin(
    { files, logKeeper, clock }: { files: TaskFiles; logKeeper: LogKeeper; clock: Clock },
    run: number,
    maxBytes: number,
  ): RunLogs | null {
    const [stdout, stderr] = [files.logPlace(run, 'stdout'), files.logPlace(run, 'stderr')];
    const places = [stdout, stderr].flatMap((place) => place ?? []);
    if (places.length === 0) return null;
    const kept = logKeeper.keep(places, maxBytes);
    const end = (place: LogPlace | undefined): number => (place && logKeeper.log(place).end()) ?? 0;
    const times = new LogTimes({
      path: files.timesPath(run),
      logs: places.map(({ path }) => path),
      ends: () => ({ stdout: end(stdout), stderr: end(stderr) }),
      clock,
    });
    times.start();
    return new RunLogs(kept, times);
  }

  get condition(): LogCondition {
    return this.#kept.condition;
  }

  /** The run goes on without us. */
  letGo(): void {
    // Its last look asks the keeper where the logs end.
    this.#times.stop();
    this.#kept.letGo();
  }

  /** The run is over; resolves when nothing is done to its logs any more. */
  end(): Promise<void> {
    this.#times.stop();
    return this.#kept.end();
  }
}
