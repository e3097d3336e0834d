import type { ProcessTable } from '../../contracts/process-table.ts';

/**
 * How long ago the cluster sitter was heard. Tasks that may not run twice (`singleton`) are held by it: a machine that is out of touch
 * ends them, since they are begun elsewhere when it is given up. Counted in time since boot, which goes on while the host sleeps.
 */
export class Leash {
  readonly #processes: Pick<ProcessTable, 'uptime'>;
  #heardAt: number;

  constructor(processes: Pick<ProcessTable, 'uptime'>) {
    this.#processes = processes;
    this.#heardAt = processes.uptime();
  }

  heard(): void {
    this.#heardAt = this.#processes.uptime();
  }

  /** Seconds since the last word. */
  silence(): number {
    return this.#processes.uptime() - this.#heardAt;
  }
}
