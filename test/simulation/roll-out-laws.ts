import type { CopyRecord } from '../../core/model/copy.ts';
import type { ClusterEvent } from '../../core/model/event.ts';
import { type JobRecord, runsByTurns } from '../../core/model/job.ts';
import type { Changed, Commit } from './ledger.ts';
import type { Law, LawParts } from './record-laws.ts';
import type { SitterProcess } from './sitter-process.ts';

/** A copy's state is known for certain when it has lasted for so long, and its machine was heard so lately (ms). */
const SURELY_KNOWN_MS = 8000;
const HEARD_MS = 3000;

/** How copies come to another version, and how versions are taken back. */
export class RollOutLaws implements Law {
  readonly #parts: LawParts;
  /** Copies that were well until we took them down, and are not well again yet: what `max_parallel` limits. */
  readonly #down = new Set<string>();

  constructor(parts: LawParts) {
    this.#parts = parts;
  }

  check({ copies, jobs, events }: Commit, by: SitterProcess): void {
    for (const { before, after } of jobs) if (before && after) this.#judged(before, after, events);
    this.#forgetWell();
    const paced = new Set<string>();
    for (const change of copies) {
      const copy = takenDown(change);
      if (!copy) continue;
      this.#standsStill(copy, jobs);
      if (this.#down.has(copy.id) || !this.#wasWell(copy, by)) continue;
      this.#down.add(copy.id);
      paced.add(copy.job);
    }
    for (const job of paced) this.#pace(job);
  }

  #forgetWell(): void {
    const { ledger } = this.#parts;
    for (const id of this.#down) {
      const copy = ledger.copies.get(id);
      if (copy?.wanted !== 'run' || this.#hasBeenWell(copy)) this.#down.delete(id);
    }
  }

  /** Since it was taken down; by now it may be down again, and not by our hand. */
  #hasBeenWell(copy: CopyRecord): boolean {
    const task = this.#parts.truth.task(copy);
    const { version, generation } = task?.wasWellAs ?? {};
    return task?.isWell(copy) === true || (version === copy.version && generation === copy.generation);
  }

  /** It was well for so long that the cluster sitter must have known. */
  #wasWell(copy: CopyRecord, by: SitterProcess): boolean {
    const { truth, world } = this.#parts;
    const now = world.clock.now();
    const task = truth.task(copy);
    if (task?.isWell(copy) !== true) return false;
    return now - task.changedAt > SURELY_KNOWN_MS && now - (by.heardAt.get(copy.machine) ?? 0) < HEARD_MS;
  }

  #standsStill(copy: CopyRecord, jobs: readonly Changed<JobRecord>[]): void {
    const { ledger, world } = this.#parts;
    const after = ledger.copies.get(copy.id);
    const job = jobs.find(({ id }) => id === copy.job)?.before ?? ledger.jobs.get(copy.job);
    if (after?.version === copy.version || !job?.rollout) return;
    const why = job.rollout.paused ? 'paused' : job.rollout.failed;
    if (why !== null) {
      const sentence = `${copy.id} goes to version ${after?.version}, and its roll-out stands still: ${why}`;
      world.violate('a roll-out that is paused or has failed stands still', sentence);
    }
  }

  #serves(machine: string): boolean {
    return ['ready', 'draining'].includes(this.#parts.ledger.machines.get(machine)?.state ?? 'lost');
  }

  #pace(name: string): void {
    const { ledger, world } = this.#parts;
    const job = ledger.jobs.get(name);
    if (!job || job.rollout?.promoted) return;
    const allowed = job.spec.update.max_parallel;
    const down = [...this.#down].filter((id) => ledger.copies.get(id)?.job === name);
    if (down.length <= allowed) return;
    const sentence = `"${name}" has ${down.join(', ')} down for an update, and max_parallel is ${allowed}`;
    world.violate('never more than max_parallel down by our own hand', sentence);
  }

  /** What the cluster sitter does by itself with a version: it is called good only when all have it, and taken back for a good one. */
  #judged(before: JobRecord, after: JobRecord, events: readonly ClusterEvent[]): void {
    const { ledger, world } = this.#parts;
    const told = (kind: string): boolean => events.some((event) => event.kind === kind && event.job === after.name);
    if (told('rollout-reverted') && after.version !== before.goodVersion) {
      const sentence = `"${after.name}" goes back to version ${after.version}, and ${before.goodVersion} was the last good one`;
      world.violate('a version is taken back for the last good one', sentence);
    }
    if (!told('rollout-done') || runsByTurns(before)) return;
    const copies = [...ledger.copies.values()].filter(
      ({ job, wanted, run, machine }) =>
        job === after.name && wanted === 'run' && run === null && this.#serves(machine),
    );
    const old = copies.filter(({ version }) => version !== after.goodVersion).map(({ id }) => id);
    if (old.length > 0)
      world.violate('a version is good when all have it', `${old.join(', ')} have not version ${after.goodVersion}`);
  }
}

/** The copy, as it was, where the plan gives it another version or restarts it; what a person restarts at once is theirs. */
function takenDown({ before, after }: Changed<CopyRecord>): CopyRecord | null {
  if (before?.wanted !== 'run' || after?.wanted !== 'run') return null;
  const updated = before.version !== after.version;
  const links = JSON.stringify(before.linked) !== JSON.stringify(after.linked);
  const restarted = before.generation !== after.generation && (links || before.jobRestarts !== after.jobRestarts);
  return updated || restarted ? before : null;
}
