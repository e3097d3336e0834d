import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Logger } from '../contracts/logger.ts';
import { writeTaskFile } from '../decide/read/read-task-file.ts';
import { CerebroError, messageOf } from '../errors.ts';
import { sentenceOf, type TasksReport } from '../model/tasks-report.ts';
import type { MachineSitter } from './machine-sitter.ts';
import { TaskList } from './task-list.ts';

const ownedFile = z.strictObject({ names: z.array(z.string()) });

export interface TasksFileOptions {
  /** `tasks_file` of the settings; absent: nothing is loaded by itself, and `write` makes tasks.yaml in the data folder. */
  path: string | undefined;
  dataDir: string;
  sitter: MachineSitter;
  logger: Logger;
}

/**
 * The file of task definitions: loaded at the start and when somebody asks, with only what differs being touched. Tasks that the
 * file once named and names no more are removed; tasks that came by another way are left alone.
 */
export class TasksFile {
  readonly path: string;
  readonly #options: TasksFileOptions;
  readonly #list: TaskList;
  readonly #ownedPath: string;
  #turn: Promise<unknown> = Promise.resolve();
  #started = false;

  constructor(options: TasksFileOptions) {
    this.#options = options;
    this.#list = new TaskList(options.sitter);
    this.path = options.path ?? join(options.dataDir, 'tasks.yaml');
    this.#ownedPath = join(options.dataDir, 'tasks-of-file.json');
  }

  /** Loads the file, if the settings name one. Throws for one that cannot be used, unless its tasks are here already: those go on. */
  async start(): Promise<void> {
    if (this.#options.path !== undefined) {
      try {
        await this.load('the start');
      } catch (error) {
        if (this.#owned().size === 0) throw error;
        this.#tell('error', `${this.path} could not be loaded, its tasks go on as they were: ${messageOf(error)}`);
      }
    }
    this.#started = true;
  }

  async stop(): Promise<void> {
    // What is under way is not waited for: the next start goes on with it.
    this.#started = false;
  }

  /** For a signal, where nobody hears what is thrown: it becomes an event. */
  async reload(by: string): Promise<void> {
    if (!this.#started) return; // the start reads it anyway
    try {
      await this.load(by);
    } catch (error) {
      this.#tell('error', `${this.path} was not loaded, nothing was changed: ${messageOf(error)}`);
    }
  }

  /** Makes the machine's tasks those of the file. Throws `invalid` with every problem; then nothing was changed. */
  load(by: string): Promise<TasksReport> {
    return this.#inTurn(async () => {
      const configurations = this.#list.read(this.#text(), this.path);
      const names = configurations.map(({ name }) => name);
      const before = this.#owned();
      const gone = [...before].filter((name) => !names.includes(name));
      // Both, until it is done: a daemon that is killed in between still knows what to remove.
      this.#own([...new Set([...before, ...names])]);
      const report = await this.#list.apply(configurations, { remove: gone, start: false, dryRun: false });
      this.#own(names);
      this.#tell(
        report.failed.length > 0 ? 'error' : 'info',
        `${this.path} was loaded by ${by}: ${sentenceOf(report)}`,
      );
      return report;
    });
  }

  /** Takes definitions from a text, beside the tasks that are there. */
  add(text: string, options: { source: string; start: boolean; dryRun: boolean; by: string }): Promise<TasksReport> {
    return this.#inTurn(async () => {
      const { source, start, dryRun, by } = options;
      const report = await this.#list.apply(this.#list.read(text, source), { remove: [], start, dryRun });
      if (!dryRun) this.#tell('info', `${source} was applied by ${by}: ${sentenceOf(report)}`);
      return report;
    });
  }

  /** Writes the tasks into the file, whole or not at all; copies of a cluster's jobs are not its business. */
  write(by: string): Promise<{ file: string; written: string[]; leftOut: string[] }> {
    return this.#inTurn(async () => {
      const all = this.#options.sitter.definitions();
      const own = all.filter(({ id, configuration }) => id === configuration.name);
      const written = own.map(({ id }) => id);
      const leftOut = all.filter((definition) => !own.includes(definition)).map(({ id }) => id);
      // Environments may hold what others are not to read.
      writeFileSync(`${this.path}.new`, writeTaskFile(own.map(({ configuration }) => configuration)), { mode: 0o600 });
      renameSync(`${this.path}.new`, this.path);
      this.#own(written);
      this.#tell('info', `${written.length} tasks were written to ${this.path} by ${by}`);
      return { file: this.path, written, leftOut };
    });
  }

  #text(): string {
    try {
      return readFileSync(this.path, 'utf8');
    } catch (error) {
      throw new CerebroError('invalid', `the file of tasks cannot be read: ${messageOf(error)}`);
    }
  }

  /** The names that the file had when it was last loaded. */
  #owned(): Set<string> {
    if (!existsSync(this.#ownedPath)) return new Set();
    try {
      return new Set(ownedFile.parse(JSON.parse(readFileSync(this.#ownedPath, 'utf8'))).names);
    } catch (error) {
      this.#options.logger.error(
        { err: error },
        'it is not known any more which tasks came from the file; none is removed',
      );
      return new Set();
    }
  }

  #own(names: readonly string[]): void {
    writeFileSync(`${this.#ownedPath}.new`, JSON.stringify({ names }), { mode: 0o640 });
    renameSync(`${this.#ownedPath}.new`, this.#ownedPath);
  }

  #tell(level: 'info' | 'error', message: string): void {
    const { logger, sitter } = this.#options;
    logger[level]({ file: this.path }, message);
    sitter.events.add({ level, kind: 'tasks-file', message });
  }

  /** One after another: two who load at once must not remove what the other adds. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined); // told to whoever asked
    return done;
  }
}
