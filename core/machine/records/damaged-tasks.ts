import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { ProcessTable } from '../../contracts/process-table.ts';
import { CerebroError } from '../../errors.ts';
import { SHIM_FILE } from '../shim/shim-script.ts';
import { TaskFiles, taskFolderName } from './task-files.ts';

/** The variable by which every process of a run can be told from all others. */
const RUN_MARKER = 'CEREBRO_RUN';
const COPY_NAME = 'CEREBRO_COPY';
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
    const markers = new Set(files.runs().flatMap((run) => files.run(run)?.marker ?? []));
    for (const marker of this.#markersUnderShims(id)) markers.add(marker);
    for (const marker of markers) this.#end(marker);
    await files.remove();
    this.#sentences.delete(folder);
  }

  /** Where the record of a run is damaged, too: its process is a child of a shim of ours, and knows the name of its task. */
  #markersUnderShims(id: string): string[] {
    const script = join(dirname(this.#tasksFolder), SHIM_FILE);
    return this.#processes.scan().flatMap(({ pid, ppid }) => {
      if (this.#processes.environment(pid, COPY_NAME) !== id || !commandLine(ppid).includes(script)) return [];
      return this.#processes.environment(pid, RUN_MARKER) ?? [];
    });
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

function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return []; // it has just ended
  }
}
