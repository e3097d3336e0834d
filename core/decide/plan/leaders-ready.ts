import type { CopyRecord } from '../../model/copy.ts';
import type { ClusterSnapshot } from '../../model/plan.ts';
import { isReady } from './copy-ready.ts';

export type Linked = Pick<ClusterSnapshot, 'jobs' | 'copies' | 'contacts'>;

/** On which machines the leaders of linked jobs are ready, with all their copies: a follower is started after its leader there. */
export class LeadersReady {
  readonly #snapshot: Linked;
  /** `MACHINE/JOB`; made when it is first asked for. */
  #ready: Set<string> | null = null;

  constructor(snapshot: Linked) {
    this.#snapshot = snapshot;
  }

  /** Whether a copy that was never started waits for its leader. */
  awaited(copy: CopyRecord): boolean {
    const leader = this.#snapshot.jobs.get(copy.job)?.spec.linked_job;
    if (leader === undefined || copy.taskVersion !== null) return false;
    this.#ready ??= this.#look();
    return !this.#ready.has(`${copy.machine}/${leader}`);
  }

  #look(): Set<string> {
    const ready = new Set<string>();
    const behind = new Set<string>();
    for (const copy of this.#snapshot.copies.values()) {
      if (copy.wanted !== 'run') continue;
      (isReady(this.#snapshot, copy) ? ready : behind).add(`${copy.machine}/${copy.job}`);
    }
    for (const place of behind) ready.delete(place);
    return ready;
  }
}
