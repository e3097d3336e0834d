import type { TaskFiles } from '../records/task-files.ts';
import type { OwnedWork } from './owned-work.ts';

/** Removes old runs, one sweep at a time: a task that ends at once, again and again, must not pile up sweepers that look at the same folders. */
export class RunPruner {
  readonly #files: TaskFiles;
  readonly #work: OwnedWork;
  #keep: number | null = null;
  #sweeping = false;
  #stopped = false;

  constructor(files: TaskFiles, work: OwnedWork) {
    this.#files = files;
    this.#work = work;
  }

  /** Keeps so many of the newest runs. */
  prune(keep: number): void {
    this.#keep = keep;
    if (this.#sweeping || this.#stopped) return;
    this.#sweeping = true;
    this.#work.add(this.#sweep());
  }

  stop(): void {
    this.#stopped = true;
  }

  async #sweep(): Promise<void> {
    try {
      // Again, when a run began meanwhile: it was not on the list.
      for (let keep = this.#keep; keep !== null && !this.#stopped; keep = this.#keep) {
        this.#keep = null;
        await this.#files.prune(keep);
      }
    } finally {
      this.#sweeping = false;
    }
  }
}
