import type { CopyRecord } from '../../core/model/copy.ts';
import type { Commit, Ledger } from './ledger.ts';
import type { World } from './world.ts';

/** Copies that were well until we updated them, and are not well again yet: what `max_parallel` limits. */
export class RollingCopies {
  readonly #parts: { world: World; ledger: Ledger; runsWell(copy: CopyRecord, version: number): boolean };
  readonly #rolling = new Set<string>();

  constructor(parts: { world: World; ledger: Ledger; runsWell(copy: CopyRecord, version: number): boolean }) {
    this.#parts = parts;
  }

  check({ copies }: Commit): void {
    const { ledger, world, runsWell } = this.#parts;
    const jobs = new Set<string>();
    for (const { before, after } of copies) {
      if (before?.wanted !== 'run' || after?.wanted !== 'run' || before.version === after.version) continue;
      if (this.#rolling.has(after.id) || !runsWell(before, before.version)) continue;
      this.#rolling.add(after.id);
      jobs.add(after.job);
    }
    if (jobs.size === 0) return;
    for (const id of this.#rolling) {
      const copy = ledger.copies.get(id);
      if (copy?.wanted !== 'run' || runsWell(copy, copy.version)) this.#rolling.delete(id);
    }
    for (const name of jobs) {
      const allowed = ledger.jobs.get(name)?.spec.update.max_parallel ?? 1;
      const down = [...this.#rolling].filter((id) => ledger.copies.get(id)?.job === name);
      if (down.length > allowed)
        world.violate(
          'never more than max_parallel down by our own hand',
          `"${name}" has ${down.join(', ')} down for an update, and max_parallel is ${allowed}`,
        );
    }
  }
}
