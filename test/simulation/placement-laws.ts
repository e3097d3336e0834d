import type { CopyRecord } from '../../core/model/copy.ts';
import { copiesIn, type JobRecord } from '../../core/model/job.ts';
import { HOSTING_STATES } from '../../core/model/machine.ts';
import type { Changed, Commit } from './ledger.ts';
import type { Law, LawParts } from './record-laws.ts';

const SLACK = 1e-6;

/** Where copies may be placed, and how many. */
export class PlacementLaws implements Law {
  readonly #parts: LawParts;

  constructor(parts: LawParts) {
    this.#parts = parts;
  }

  check({ copies, jobs }: Commit): void {
    const placed = copies.flatMap(({ before, after }) => (!before && after ? [after] : []));
    const held = copies.flatMap(({ after }) => (after && after.outcome === null ? [after.machine] : []));
    for (const id of new Set(held)) this.#capacity(id, placed);
    for (const copy of placed) {
      // It is placed for the job as it was before the change that may come with it: of a roll-out that is taken back.
      const job = jobs.find(({ id }) => id === copy.job)?.before ?? this.#parts.ledger.jobs.get(copy.job);
      if (job?.spec.linked_job !== undefined) this.#follower(copy, job.spec.linked_job, copies);
      else if (job) this.#number(copy, job);
    }
  }

  #capacity(id: string, placed: readonly CopyRecord[]): void {
    const { ledger, world } = this.#parts;
    const machine = ledger.machines.get(id);
    if (!machine) {
      // One that may not run twice is held until it has certainly ended, which its machine's own record may not live to see.
      if (!placed.some((copy) => copy.machine === id)) return;
      world.violate('copies are on machines that there are', `a copy is placed on ${id}, which has no record`);
      return;
    }
    const copies = ledger.onMachine(id).filter((copy) => !this.#isOver(copy));
    const cpu = copies.reduce((sum, copy) => sum + copy.cpu, 0);
    const mem = copies.reduce((sum, copy) => sum + copy.mem, 0);
    if (cpu <= machine.cpu + SLACK && mem <= machine.mem + SLACK) return;
    const sentence = `${id} holds ${cpu} of ${machine.cpu} cores and ${mem} of ${machine.mem} MB`;
    world.violate('no machine holds more than it has', sentence);
  }

  /** What is left of a run that has ended takes no room. */
  #isOver(copy: CopyRecord): boolean {
    if (copy.run === null) return false;
    const { ledger, truth } = this.#parts;
    const runs = ledger.jobs.get(copy.job)?.runs ?? [];
    if (runs.some(({ id, state }) => id === copy.run && state === 'running')) return false;
    return copy.outcome !== null || truth.task(copy)?.runs !== true;
  }

  /** New copies fill what is missing, and go beyond it only to take the place of those on machines that are being emptied. */
  #number(placed: CopyRecord, job: JobRecord): void {
    const { ledger, world } = this.#parts;
    const entry = job.spec.deployment_layout[placed.zone];
    const wanted = entry ? copiesIn(entry) : 0;
    const same = [...ledger.copies.values()].filter(
      (copy) => copy.job === job.name && copy.zone === placed.zone && copy.run === placed.run,
    );
    // What has done its part of a run is not done again, wherever its machine has gone.
    const have = same.filter((copy) => (copy.outcome !== null && copy.wanted === 'run') || this.#stays(copy)).length;
    if (have <= wanted) return;
    const sentence = `"${job.name}" has ${have} of ${wanted} copies in ${placed.zone}`;
    world.violate('no copy beyond what is wanted', sentence);
  }

  #follower(placed: CopyRecord, leader: string, changed: readonly Changed<CopyRecord>[]): void {
    const { ledger, world } = this.#parts;
    const there = ledger.onMachine(placed.machine);
    const own = there.filter((copy) => copy.job === placed.job && this.#stays(copy)).length;
    if (own > 1)
      world.violate('no copy beyond what is wanted', `"${placed.job}" has ${own} copies on ${placed.machine}`);
    // A leader that is stopped by the same plan that gave it a follower takes it along with the next.
    const justStopped = changed.flatMap(({ before, after }) => (before?.wanted === 'run' && after ? [after.id] : []));
    const led = there.some(({ job, wanted, id }) => job === leader && (wanted === 'run' || justStopped.includes(id)));
    if (led) return;
    const sentence = `${placed.id} is placed on ${placed.machine} without "${leader}"`;
    world.violate('a linked job runs where its leader runs', sentence);
  }

  #stays(copy: CopyRecord): boolean {
    const machine = this.#parts.ledger.machines.get(copy.machine);
    return copy.wanted === 'run' && machine !== undefined && HOSTING_STATES.has(machine.state);
  }
}
