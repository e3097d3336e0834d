import { existsSync } from 'node:fs';
import type { Clock, Timer } from '../../contracts/clock.ts';
import type { ProcessId, ProcessTable } from '../../contracts/process-table.ts';
import { isThere } from './shim.ts';

/** A shim that is killed says nothing: so often they are looked at. */
const LOOK_MS = 2000;
/** Each so many looks it is also asked whether it is still the same process, which costs a few times as much. */
const WHOLE_LOOK = 15;

interface Watched {
  id: ProcessId;
  onGone(): void;
}

/** Notices when a shim is killed. One timer for all of them; there is none while there is no shim. */
export class ShimWatch {
  readonly #clock: Clock;
  readonly #processes: ProcessTable;
  readonly #watched = new Set<Watched>();
  #timer: Timer | null = null;
  #looks = 0;

  constructor(clock: Clock, processes: ProcessTable) {
    this.#clock = clock;
    this.#processes = processes;
  }

  /** Calls back once when the process is gone; whoever watches cancels it. */
  watch(id: ProcessId, onGone: () => void): Timer {
    const watched = { id, onGone };
    this.#watched.add(watched);
    this.#schedule();
    return {
      cancel: () => {
        this.#watched.delete(watched);
        if (this.#watched.size === 0) this.stop();
      },
    };
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #schedule(): void {
    this.#timer ??= this.#clock.timer(LOOK_MS, () => {
      this.#timer = null;
      this.#look();
      if (this.#watched.size > 0) this.#schedule();
    });
  }

  #look(): void {
    this.#looks += 1;
    const whole = this.#looks % WHOLE_LOOK === 0;
    for (const watched of [...this.#watched]) {
      // One call to the kernel where all is well. A zombie has no program; nor has one that we may not look into.
      if (!whole && existsSync(`/proc/${watched.id.pid}/exe`)) continue;
      if (isThere(this.#processes, watched.id) || !this.#watched.delete(watched)) continue;
      watched.onGone();
    }
  }
}
