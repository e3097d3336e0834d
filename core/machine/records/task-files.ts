import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import type { z } from 'zod';
import type { TaskLife } from '../../decide/task/task-life.ts';
import { CerebroError, messageOf, systemCode } from '../../errors.ts';
import { type RunEnd, runEnd } from '../../model/task.ts';
import { NO_STATUS } from '../shim/exit-file.ts';
import type { LogPlace } from './log-place.ts';
import { type RunRecord, runRecord, type TaskFile, taskFile } from './task-records.ts';

/** How the folders of removed tasks begin; those of tasks never begin with a dot. */
const REMOVED = '.removed-';

/**
 * The files of one task:
 *
 *   FOLDER/task.json                     its definition, revision and life
 *   FOLDER/runs/N/{run.json,end.json}    what a run was started with, and its post-mortem
 *   FOLDER/runs/N/exit                   its exit status, written by its shim (see shim.ts)
 *   FOLDER/runs/N/{stdout,stderr}        its logs, where the task names no other place
 *   FOLDER/runs/N/times                  when they were how long (see log-times.ts)
 *   FOLDER/runs/N/{stdout,stderr}.position   what was cut off their heads (see run-log.ts)
 */
export class TaskFiles {
  readonly folder: string;
  #begun: RunRecord | null = null;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Throws `invalid` input errors of zod, or SyntaxError, for a file that was damaged. */
  load(): TaskFile {
    return taskFile.parse(JSON.parse(readFileSync(join(this.folder, 'task.json'), 'utf8')));
  }

  save(file: TaskFile): void {
    mkdirSync(this.folder, { recursive: true, mode: 0o750 });
    // Its environment may hold secrets.
    writeWhole(join(this.folder, 'task.json'), JSON.stringify(file), 0o600);
  }

  /** `save`, of something that must not be lost. Throws `no_space` or `unavailable`; a folder that was made for it is gone again then. */
  order(file: TaskFile): void {
    const isNew = !existsSync(this.folder);
    try {
      this.save(file);
    } catch (error) {
      if (isNew) rmSync(this.folder, { recursive: true, force: true });
      const code = ['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? '') ? 'no_space' : 'unavailable';
      const { id } = file.definition;
      throw new CerebroError(
        code,
        `the order for "${id}" could not be kept, nothing was changed: ${messageOf(error)}`,
        {
          cause: error,
        },
      );
    }
  }

  runFolder(run: number): string {
    return join(this.folder, 'runs', String(run));
  }

  beginRun(record: RunRecord): string {
    const folder = this.runFolder(record.run);
    // A run of this number that never came to life (its life was not saved) is not this one.
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true, mode: 0o750 });
    writeFileSync(join(folder, 'exit'), NO_STATUS);
    writeWhole(join(folder, 'run.json'), JSON.stringify(record));
    this.#begun = record;
    return folder;
  }

  run(run: number): RunRecord | undefined {
    // What was just written need not be read and checked.
    if (this.#begun?.run === run) return this.#begun;
    return readJson(join(this.runFolder(run), 'run.json'), runRecord);
  }

  /**
   * What the run was started with in which a daemon ended; undefined for one that never came to life. Throws `invalid` where
   * that is not known any more: something of it may run, and must not get a twin.
   */
  interruptedRun(run: number, phase: TaskLife['phase']): RunRecord | undefined {
    const record = this.run(run);
    if (record) return record;
    const path = join(this.runFolder(run), 'run.json');
    const missing = codeOfStat(path) === 'ENOENT';
    if (missing && phase !== 'running') return undefined;
    const problem = missing ? 'is gone' : 'cannot be read';
    throw new CerebroError('invalid', `${path} ${problem}, so what runs of this task cannot be found again`);
  }

  /** Where a stream of a run is; undefined for one that is the daemon's own, or a run that is not kept. */
  logPlace(run: number, stream: 'stdout' | 'stderr'): LogPlace | undefined {
    const path = this.run(run)?.[stream];
    // A log that is the sitter's own stream is no file.
    if (path === undefined || !isAbsolute(path)) return undefined;
    return { path, positionPath: join(this.runFolder(run), `${stream}.position`) };
  }

  /** When the logs of a run were how long (see log-times.ts). */
  timesPath(run: number): string {
    return join(this.runFolder(run), 'times');
  }

  endRun(end: RunEnd): void {
    const folder = this.runFolder(end.run);
    if (existsSync(folder)) writeWhole(join(folder, 'end.json'), JSON.stringify(end));
  }

  end(run: number): RunEnd | undefined {
    return readJson(join(this.runFolder(run), 'end.json'), runEnd);
  }

  /** The numbers of the runs that are kept, oldest first. */
  runs(): number[] {
    return namesIn(join(this.folder, 'runs'))
      .map(Number)
      .filter((n) => Number.isInteger(n) && n > 0)
      .sort((a, b) => a - b);
  }

  async prune(keep: number): Promise<void> {
    const runs = this.runs();
    for (const run of runs.slice(0, Math.max(0, runs.length - keep))) {
      await this.#removeLogsElsewhere(run);
      // Its post-mortem may be written into it at this very moment.
      await rm(this.runFolder(run), { recursive: true, force: true, maxRetries: 3 });
    }
  }

  /** What a daemon has left that was killed while it made the folder of a new task, or removed that of an old one. */
  isLeftOver(): boolean {
    const there = (name: string): boolean => existsSync(join(this.folder, name));
    return basename(this.folder).startsWith(REMOVED) || !(there('task.json') || there('runs'));
  }

  /** Everything, at once; logs that lie elsewhere go one by one. */
  async remove(): Promise<void> {
    if (!existsSync(this.folder)) return;
    for (const run of this.runs()) await this.#removeLogsElsewhere(run);
    // In one step under a name that is no task's: a half of a folder would be taken for a damaged task.
    const removed = join(dirname(this.folder), `${REMOVED}${randomUUID()}`);
    renameSync(this.folder, removed);
    await new TaskFiles(removed).discard();
  }

  async discard(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  async #removeLogsElsewhere(run: number): Promise<void> {
    for (const stream of ['stdout', 'stderr'] as const) {
      const path = this.logPlace(run, stream)?.path;
      if (path === undefined || path.startsWith(this.folder)) continue;
      for (const file of [path, `${path}.old`]) await removeFile(file);
    }
  }
}

/** A place that cannot be (a file stands where a folder should) has no file either. */
async function removeFile(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
  } catch (error) {
    if (systemCode(error) !== 'ENOTDIR') throw error;
  }
}

/** A file name for any task name: readable where it can be, never a path, never too long. */
export function taskFolderName(id: string): string {
  const plain = encodeURIComponent(id).replace(/^\.+/, (dots) => '%2E'.repeat(dots.length));
  return plain.length <= 160
    ? plain
    : `${plain.slice(0, 80)}~${createHash('sha256').update(id).digest('hex').slice(0, 32)}`;
}

/** The whole new file or the whole old one, whenever we are killed. */
function writeWhole(path: string, text: string, mode = 0o640): void {
  writeFileSync(`${path}.new`, text, { mode });
  renameSync(`${path}.new`, path);
}

/** What is wrong with a path; undefined: something is there. */
function codeOfStat(path: string): string | undefined {
  try {
    statSync(path);
    return undefined;
  } catch (error) {
    return systemCode(error);
  }
}

/** None where there is no folder, or something else in its place. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // as good as none: what would have been in it is not there
  }
}

/** undefined: not there, or damaged: a post-mortem that cannot be read is as good as none. */
function readJson<T>(path: string, schema: z.ZodType<T>): T | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return undefined;
  }
}
