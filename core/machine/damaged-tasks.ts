import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { ProcessTable } from '../contracts/process-table.ts';
import { CerebroError } from '../errors.ts';
import { TaskFiles, taskFolderName } from './task-files.ts';

/** The variable by which every process of a run can be told from all others. */
const RUN_MARKER = 'CEREBRO_RUN';
const ROUNDS = 10;

/** Tasks whose files cannot be read: they are reported and left alone, and the others run. Removing one ends what still runs of it. */
export class DamagedTasks {
  readonly #tasksFolder: string;
  readonly #processes: ProcessTable;
  readonly #sentences = new Map<string, string>();

  constructor(tasksFolder: string, processes: ProcessTable) {
    this.#tasksFolder = tasksFolder;
    this.#processes = processes;
  }

  /** Folder -> what is wrong with it. */
  get sentences(): ReadonlyMap<string, string> {
    return this.#sentences;
  }

  add(folder: string, sentence: string): void {
    this.#sentences.set(folder, sentence);
  }

  has(id: string): boolean {
    return this.#sentences.has(this.#folder(id));
  }

  /** Throws `conflict` for a task whose files are damaged: what runs of it must not get a twin. */
  refuse(id: string): void {
    const sentence = this.#sentences.get(this.#folder(id));
    if (sentence === undefined) return;
    throw new CerebroError(
      'conflict',
      `the files of "${id}" are damaged (${sentence}); remove the task before you add it again`,
    );
  }

  /** Ends what still runs of a damaged task and forgets it with its logs. */
  async remove(id: string): Promise<void> {
    const folder = this.#folder(id);
    const files = new TaskFiles(folder);
    for (const run of existsSync(folder) ? files.runs() : []) {
      const marker = files.run(run)?.marker;
      if (marker !== undefined) this.#end(marker);
    }
    await files.remove();
    this.#sentences.delete(folder);
  }

  /** Looks again after each round: what it killed may have had children while we looked. */
  #end(marker: string): void {
    for (let round = 0, found = true; found && round < ROUNDS; round++) {
      found = false;
      for (const pid of this.#processes.pids()) {
        if (this.#processes.environment(pid, RUN_MARKER) !== marker) continue;
        found = true;
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // ESRCH: it has ended by itself meanwhile
        }
      }
    }
  }

  #folder(id: string): string {
    return join(this.#tasksFolder, basename(taskFolderName(id)));
  }
}
