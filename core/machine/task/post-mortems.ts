import { join } from 'node:path';
import type { Clock } from '../../contracts/clock.ts';
import type { Enclosure } from '../../contracts/limit-enforcer.ts';
import type { Logger } from '../../contracts/logger.ts';
import { limitsOf } from '../../decide/task/limits-of.ts';
import type { TaskLife } from '../../decide/task/task-life.ts';
import type { EndReason, RunEnd, TaskDefinition } from '../../model/task.ts';
import { lastLines } from '../logs/log-file.ts';
import type { LogKeeper } from '../logs/log-keeper.ts';
import type { TaskFiles } from '../records/task-files.ts';
import { exitOf, readExitFile } from '../shim/exit-file.ts';

const LAST_LINES = 20;
/** Of a task that ends again and again faster than its post-mortems are written, only so many are kept to be written. */
const MAX_UNWRITTEN = 50;

export interface PostMortemsDeps {
  files: TaskFiles;
  logKeeper: LogKeeper;
  clock: Clock;
  logger: Logger;
}

/**
 * The ends of one task's runs. An end is noted first, to be kept together with the life that follows from it; its last lines are
 * read and its record is written after the new run was started, since nobody waits for them.
 */
export class PostMortems {
  readonly #deps: PostMortemsDeps;
  #last: RunEnd | null = null;
  #unwritten: RunEnd[];

  /** `unwritten`: what an earlier daemon had noted and not written. `newestRun`: 0 where there was none. */
  constructor(deps: PostMortemsDeps, unwritten: readonly RunEnd[], newestRun: number) {
    this.#deps = deps;
    this.#unwritten = [...unwritten];
    if (newestRun > 0) this.#last = deps.files.end(newestRun) ?? deps.files.end(newestRun - 1) ?? null;
  }

  get last(): RunEnd | null {
    return this.#last;
  }

  get unwritten(): readonly RunEnd[] {
    return this.#unwritten;
  }

  /** `before`: the life in which the run ended. `enclosure`: its walls, with what it used. */
  note(
    before: TaskLife,
    ended: { reason: EndReason; sentence: string },
    definition: TaskDefinition,
    enclosure: Enclosure | null,
  ): void {
    const { files, clock } = this.#deps;
    const known = files.run(before.run) !== undefined;
    const status = known ? readExitFile(join(files.runFolder(before.run), 'exit')) : undefined;
    const exit = status === undefined ? { code: null, signal: null } : exitOf(status);
    const account = enclosure?.account();
    const end: RunEnd = {
      run: before.run,
      reason: ended.reason,
      sentence: ended.sentence,
      code: exit.code,
      signal: exit.signal ?? null,
      startedAt: new Date(before.startedAt ?? before.since).toISOString(),
      endedAt: new Date(clock.now()).toISOString(),
      enforcer: enclosure?.enforcer ?? '',
      memLimitBytes: limitsOf(definition.configuration).memBytes,
      peakMemBytes: account?.peakMemBytes ?? 0,
      cpuSeconds: account?.cpuSeconds ?? 0,
      throttledSeconds: account?.throttledSeconds ?? 0,
      oomKills: account?.oomKills ?? 0,
      restarts: before.totalRestarts,
      lastLines: [],
    };
    this.#last = end;
    if (known) this.#unwritten = [...this.#unwritten, end].slice(-MAX_UNWRITTEN);
  }

  /** Writes the record of a run whose end was noted. */
  async write(run: number): Promise<void> {
    const end = this.#unwritten.find((one) => one.run === run);
    if (end) await this.#write(end);
  }

  /** Writes what an earlier daemon had no time to write. */
  async writeAll(): Promise<void> {
    for (const end of this.#unwritten) {
      await this.#write(end);
      if (end.run >= (this.#last?.run ?? 0)) this.#last = end;
    }
  }

  async #write(end: RunEnd): Promise<void> {
    const { files, logKeeper, logger } = this.#deps;
    try {
      for (const stream of ['stderr', 'stdout'] as const) {
        const place = files.logPlace(end.run, stream);
        if (!place || end.lastLines.length > 0) continue;
        // A log that cannot be read does not take the rest of the post-mortem with it.
        end.lastLines = await lastLines(logKeeper.log(place), LAST_LINES).catch(() => []);
      }
      files.endRun(end);
      this.#unwritten = this.#unwritten.filter((one) => one !== end);
    } catch (error) {
      // It stays among those that are not written, for the next daemon.
      logger.error({ folder: files.folder, run: end.run, err: error }, 'a post-mortem could not be written');
    }
  }
}
