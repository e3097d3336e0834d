import type { CopyRecord } from '../../model/copy.ts';
import { type JobRecord, reservationOf } from '../../model/job.ts';
import { isReady, readySince, serialOf } from './copy-ready.ts';
import { linkedVersions } from './follow-leaders.ts';
import type { LinkedJobs } from './linked-jobs.ts';
import { moveCopies, outgrown } from './move-copies.ts';
import { hasRoom } from './stays-behind.ts';
import { wantedOf } from './wanted-of.ts';
import type { WorkingState } from './working-state.ts';

/** What has to be done to a copy for it to be what its job wants now. */
export interface Due {
  copy: CopyRecord;
  kind: 'update' | 'restart';
  reason: string;
  /** What it runs beside, where that does not stand in its record yet. */
  noted: Record<string, number> | null;
  /** What is due where its update has to wait for a place. */
  otherwise(): Due | null;
}

/** Does what is due, with at most `max_parallel` copies of the job down by our hand at a time. */
export function changeCopies(
  work: WorkingState,
  links: LinkedJobs,
  job: JobRecord,
  copies: readonly CopyRecord[],
  due: readonly Due[],
): void {
  const change = new Change(work, links, job, copies, due);
  change.inTurn(inOrder(work, due));
  change.move();
  change.note();
}

/** First what we have taken down already, whatever is known of the others just now; then what is down anyway. */
function inOrder(work: WorkingState, due: readonly Due[]): Due[] {
  return [...due].sort(
    (a, b) =>
      Number(isOnItsWay(b.copy)) - Number(isOnItsWay(a.copy)) ||
      Number(isReady(work.snapshot, a.copy)) - Number(isReady(work.snapshot, b.copy)) ||
      serialOf(a.copy) - serialOf(b.copy),
  );
}

/** It is to run something else than its machine was last given. */
function isOnItsWay({ version, generation, taskVersion, taskGeneration }: CopyRecord): boolean {
  return taskVersion !== version || taskGeneration !== generation;
}

/** One plan's change of a job's copies. */
class Change {
  readonly #work: WorkingState;
  readonly #links: LinkedJobs;
  readonly #job: JobRecord;
  /** What is still to be done. */
  readonly #left: Set<Due>;
  /** Those that have a turn and no room where they are. */
  readonly #movers: Due[] = [];
  readonly #missing: number;
  /** How many more copies may be taken down. */
  #turns: number;
  #moved = false;

  constructor(
    work: WorkingState,
    links: LinkedJobs,
    job: JobRecord,
    copies: readonly CopyRecord[],
    due: readonly Due[],
  ) {
    this.#work = work;
    this.#links = links;
    this.#job = job;
    this.#left = new Set(due);
    this.#missing = wantedOf(work, job) - copies.length;
    this.#turns = turnsOf(work, job, copies, new Set(due.map(({ copy }) => copy.id)));
  }

  inTurn(due: readonly Due[]): void {
    for (const each of due) {
      // Promoted is the version, and no restart beside.
      const isFree = each.kind === 'update' && this.#job.rollout?.promoted === true;
      if (this.#left.has(each) && (this.#turns > 0 || isFree)) this.#do(each);
    }
  }

  /** Gives those that have to move a place. Who finds none gives his turn back, and the others go on. */
  move(): void {
    if (this.#movers.length === 0) return;
    this.#moved = true;
    for (const each of moveCopies(this.#work, this.#links, this.#job, this.#movers)) {
      const instead = each.otherwise();
      if (instead) this.#restart(instead);
      else {
        this.#left.add(each);
        // It stays as it is, which may be down on its way to the version before: then its turn is taken.
        if (isReady(this.#work.snapshot, each.copy)) this.#turns++;
      }
    }
    this.inTurn(inOrder(this.#work, [...this.#left]));
  }

  /** What is not changed by this plan still notes what it runs beside. */
  note(): void {
    for (const { copy, noted } of this.#left)
      if (noted) this.#work.actions.push({ kind: 'note-links', copy: copy.id, linked: noted });
  }

  #do(due: Due): void {
    const { copy } = due;
    const work = this.#work;
    const seat = work.seats.get(copy.machine);
    if (due.kind === 'restart') {
      this.#turns--;
      this.#restart(due);
    } else if (!seat) {
      return;
    } else if (hasRoom(work, this.#job, copy)) {
      this.#turns--;
      this.#update(due, seat);
    } else if (this.#job.spec.singleton) {
      this.#turns--;
      this.#left.delete(due);
      // Its successor comes when it has ended. Not while others are missing: it might find no place either, and so all would go.
      if (this.#missing <= 0) work.stopCopy(copy, outgrown(this.#job, copy));
    } else if (work.draining.has(seat.id)) {
      // It leaves in any case.
      if (!isReady(work.snapshot, copy)) this.#turns--;
    } else if (!this.#moved) {
      this.#turns--;
      this.#left.delete(due);
      this.#movers.push(due);
    }
  }

  #restart(due: Due): void {
    this.#left.delete(due);
    const linked = linkedVersions(this.#work, this.#links, this.#job, placeOf(due), 'restart');
    const { copy, reason } = due;
    this.#work.actions.push({ kind: 'restart-copy', copy: copy.id, jobRestarts: this.#job.restarts, linked, reason });
  }

  #update(due: Due, seat: { freeCpu: number; freeMem: number }): void {
    this.#left.delete(due);
    const { copy, reason } = due;
    const { cpu, mem } = reservationOf(this.#job.spec, copy.zone);
    const linked = linkedVersions(this.#work, this.#links, this.#job, placeOf(due), 'update');
    seat.freeCpu -= cpu - copy.cpu;
    seat.freeMem -= mem - copy.mem;
    const { version } = this.#job;
    this.#work.actions.push({ kind: 'update-copy', copy: copy.id, version, cpu, mem, linked, reason });
  }
}

/** Where it is, and what it runs beside; what it was not coupled with before is found out anew with its start. */
function placeOf({ copy, noted }: Due): Pick<CopyRecord, 'machine' | 'linked'> {
  const { machine, linked } = copy;
  if (noted === null) return { machine, linked };
  return {
    machine,
    linked: Object.fromEntries(Object.entries(linked).map(([job, before]) => [job, noted[job] ?? before])),
  };
}

/** How many more copies may be taken down now. What this plan has just placed is not ready either. */
function turnsOf(
  work: WorkingState,
  job: JobRecord,
  copies: readonly CopyRecord[],
  waiting: ReadonlySet<string>,
): number {
  const { now } = work.snapshot;
  const settleMs = job.spec.update.min_healthy * 1000;
  const placed = work.actions.filter((action) => action.kind === 'place-copy' && action.job === job.name).length;
  let turns = job.spec.update.max_parallel - placed - (job.spec.singleton ? leavingFor(work, job) : 0);
  for (const copy of copies) {
    if (waiting.has(copy.id)) continue;
    const since = readySince(work.snapshot, copy);
    if (since === null) turns--;
    else if (now - since < settleMs) {
      turns--;
      work.wake(since + settleMs);
    }
  }
  return turns;
}

/** Copies that make way for another version: a singleton's successor is not even placed as long as it may run. */
function leavingFor(work: WorkingState, job: JobRecord): number {
  let leaving = 0;
  for (const copy of work.snapshot.copies.values())
    if (copy.job === job.name && copy.wanted === 'stop' && copy.version !== job.version) leaving += 1;
  return leaving;
}
