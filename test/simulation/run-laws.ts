import type { JobRecord } from '../../core/model/job.ts';
import type { Commit } from './ledger.ts';
import type { Law, LawParts } from './record-laws.ts';

/** When runs of jobs that end may begin. */
export class RunLaws implements Law {
  readonly #parts: LawParts;
  readonly #begun = new Set<string>();

  constructor(parts: LawParts) {
    this.#parts = parts;
  }

  check({ jobs }: Commit): void {
    for (const { before, after } of jobs) if (after) this.#check(before?.runs ?? [], after);
  }

  #check(before: JobRecord['runs'], job: JobRecord): void {
    const { world } = this.#parts;
    const newest = Math.max(0, ...before.map(({ id }) => id));
    for (const run of job.runs.filter(({ id }) => id > newest)) {
      const time = `${job.name}, made ${job.createdAt}, due ${run.due}`;
      if (run.due !== null && this.#begun.has(time))
        world.violate('a time of a schedule has one run', `run ${run.id} of ${time} is the second`);
      this.#begun.add(time);
      const going = job.runs.filter(({ state }) => state === 'running').length;
      if (run.state === 'running' && going > 1 && job.spec.schedule?.overlap !== 'allow')
        world.violate('runs overlap only where they may', `"${job.name}" has ${going} runs going with run ${run.id}`);
    }
    for (const { id, state } of before) {
      const now = job.runs.find((run) => run.id === id);
      if (state !== 'running' && now?.state === 'running')
        world.violate('a run that has ended is over', `run ${id} of "${job.name}" was ${state} and is running again`);
    }
  }
}
