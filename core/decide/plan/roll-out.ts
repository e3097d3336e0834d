import type { CopyRecord } from '../../model/copy.ts';
import { copiesIn, type JobRecord, type RollOut, reservationOf, runsByTurns } from '../../model/job.ts';
import { isReady, readySince, serialOf, taskInForce } from './copy-ready.ts';
import { linkedVersions, updatedBeside } from './follow-leaders.ts';
import type { LinkedJobs } from './linked-jobs.ts';
import { moveCopy, outgrown } from './move-copy.ts';
import { hasRoom, mayGoOn, staysBehind } from './stays-behind.ts';
import type { WorkingState } from './working-state.ts';

/** What has to be done to a copy for it to be what its job wants now. */
interface Due {
  copy: CopyRecord;
  kind: 'update' | 'restart';
  reason: string;
}

/**
 * Brings copies to the job's newest version, and restarts those that are to be restarted, at most `max_parallel` of them down by our
 * hand at a time. Then judges the roll-out: done, failed, or on its way.
 */
export function rollJob(work: WorkingState, links: LinkedJobs, job: JobRecord): void {
  const all = work.copiesByJob.get(job.name) ?? [];
  const copies = work.stopped.size === 0 ? all : all.filter((copy) => !work.stopped.has(copy.id));
  if (runsByTurns(job)) {
    // A run keeps the version that it began with; the next one has the new one.
    if (job.rollout) done(work, job, job.rollout, 'the next run has it');
    return;
  }
  if (job.stopped) return;
  const due: Due[] = [];
  for (const copy of copies) {
    const found = dueFor(work, links, job, copy);
    if (found) due.push(found);
  }
  if (due.length > 0) change(work, links, job, copies, due);
  if (job.rollout) judge(work, links, job, job.rollout, copies);
}

function dueFor(work: WorkingState, links: LinkedJobs, job: JobRecord, copy: CopyRecord): Due | null {
  const { updated, known, mayRun } = updatedBeside(work, links, job, copy);
  // Also where its own update is due: that may have to wait, and what is updated beside it meanwhile is not to be missed.
  if (known && !mayRun) work.actions.push({ kind: 'note-links', copy: copy.id, linked: known });
  if (copy.version !== job.version && mayGoOn(job)) {
    if (waitsForLeader(work, links, job, copy)) return null;
    if (job.spec.linked_job === undefined || hasRoom(work, job, copy))
      return { copy, kind: 'update', reason: `"${job.name}" goes from version ${copy.version} to ${job.version}` };
    // There is no other place for it than beside its leader. It takes nobody's turn, and is restarted as it is where that is due.
    work.complain(
      { job: job.name, machine: copy.machine },
      `${outgrown(job, copy)} beside "${job.spec.linked_job}"; it stays at version ${copy.version} until there is`,
    );
  }
  if (copy.jobRestarts < job.restarts) return { copy, kind: 'restart', reason: `"${job.name}" is being restarted` };
  if (updated.length > 0) {
    const names = updated.map(({ name, version }) => `"${name}" was updated to version ${version}`).join(', ');
    return { copy, kind: 'restart', reason: `${names} beside it` };
  }
  if (known && mayRun) {
    const reason = 'its leader was updated before it was known to run';
    // What its machine has, started by an order that nobody answered, is started anew in its turn. What was not started costs nothing.
    if (mayBeOn(work, copy)) return { copy, kind: 'restart', reason };
    work.actions.push({ kind: 'restart-copy', copy: copy.id, jobRestarts: copy.jobRestarts, linked: known, reason });
  }
  return null;
}

/** Whether its machine has a task of it, as far as is known. */
function mayBeOn(work: WorkingState, copy: CopyRecord): boolean {
  return work.snapshot.contacts.get(copy.machine)?.tasks?.has(copy.id) ?? true;
}

/** A follower is updated after its leader on the same machine, which it is started after. */
function waitsForLeader(work: WorkingState, links: LinkedJobs, job: JobRecord, copy: CopyRecord): boolean {
  const leader = links.leaderOf(job);
  if (!leader || job.spec.link_restart === 'none' || !mayGoOn(leader)) return false;
  return work
    .copiesOn(copy.machine, leader.name)
    .filter((other) => !staysBehind(work, leader, other))
    .some((other) => other.version !== leader.version || !isReady(work.snapshot, other));
}

function change(
  work: WorkingState,
  links: LinkedJobs,
  job: JobRecord,
  copies: readonly CopyRecord[],
  due: readonly Due[],
): void {
  const waiting = new Set(due.map(({ copy }) => copy.id));
  let budget = budgetOf(work, job, copies, waiting);
  const missing = wantedOf(work, job) - copies.length;
  /** Zones in which there is no place for what has to move. */
  const full = new Set<string>();
  // First what we have taken down already, whatever is known of the others just now; then what is down anyway.
  const next = [...due].sort(
    (a, b) =>
      Number(isOnItsWay(b.copy)) - Number(isOnItsWay(a.copy)) ||
      Number(isReady(work.snapshot, a.copy)) - Number(isReady(work.snapshot, b.copy)) ||
      serialOf(a.copy) - serialOf(b.copy),
  );
  for (const { copy, kind, reason } of next) {
    // Promoted is the version, and no restart beside.
    if (budget <= 0 && !(kind === 'update' && job.rollout?.promoted)) continue;
    const linked = linkedVersions(work, links, job, copy, kind);
    if (kind === 'restart') {
      budget--;
      work.actions.push({ kind: 'restart-copy', copy: copy.id, jobRestarts: job.restarts, linked, reason });
      continue;
    }
    const { cpu, mem } = reservationOf(job.spec, copy.zone);
    const seat = work.seats.get(copy.machine);
    if (!seat) continue;
    if (!hasRoom(work, job, copy)) {
      if (job.spec.singleton) {
        budget--;
        // Its successor comes when it has ended. Not while others are missing: it might find no place either, and so all would go.
        if (missing <= 0) work.stopCopy(copy, outgrown(job, copy));
        continue;
      }
      if (job.spec.linked_job === undefined && !work.draining.has(seat.id) && !full.has(copy.zone)) {
        if (moveCopy(work, links, job, copy)) {
          budget--;
          continue;
        }
        full.add(copy.zone);
      }
      // It stays as it is, which may be down on its way to the version before.
      if (!isReady(work.snapshot, copy)) budget--;
      continue;
    }
    budget--;
    seat.freeCpu -= cpu - copy.cpu;
    seat.freeMem -= mem - copy.mem;
    work.actions.push({ kind: 'update-copy', copy: copy.id, version: job.version, cpu, mem, linked, reason });
  }
}

/** It is to run something else than its machine was last given. */
function isOnItsWay({ version, generation, taskVersion, taskGeneration }: CopyRecord): boolean {
  return taskVersion !== version || taskGeneration !== generation;
}

/** How many more copies may be taken down now. What this plan has just placed is not ready either. */
function budgetOf(
  work: WorkingState,
  job: JobRecord,
  copies: readonly CopyRecord[],
  waiting: ReadonlySet<string>,
): number {
  const { now } = work.snapshot;
  const settleMs = job.spec.update.min_healthy * 1000;
  const placed = work.actions.filter((action) => action.kind === 'place-copy' && action.job === job.name).length;
  let budget = job.spec.update.max_parallel - placed - (job.spec.singleton ? leavingFor(work, job) : 0);
  for (const copy of copies) {
    if (waiting.has(copy.id)) continue;
    const since = readySince(work.snapshot, copy);
    if (since === null) budget--;
    else if (now - since < settleMs) {
      budget--;
      work.wake(since + settleMs);
    }
  }
  return budget;
}

/** Copies that make way for another version: a singleton's successor is not even placed as long as it may run. */
function leavingFor(work: WorkingState, job: JobRecord): number {
  let leaving = 0;
  for (const copy of work.snapshot.copies.values())
    if (copy.job === job.name && copy.wanted === 'stop' && copy.version !== job.version) leaving += 1;
  return leaving;
}

/** Done when every copy that is wanted is there and has been well for `min_healthy`; failed when one is not ready in time. */
function judge(
  work: WorkingState,
  links: LinkedJobs,
  job: JobRecord,
  rollout: RollOut,
  copies: readonly CopyRecord[],
): void {
  const { snapshot } = work;
  const settleMs = job.spec.update.min_healthy * 1000;
  const complete = copies.length >= wantedOf(work, job) && (copies.length > 0 || !awaitsLeader(work, links, job));
  const settled = copies.every((copy) => {
    if (copy.version !== rollout.to) return false;
    const since = readySince(snapshot, copy);
    if (since !== null && snapshot.now - since < settleMs) work.wake(since + settleMs);
    return since !== null && snapshot.now - since >= settleMs;
  });
  if (complete && settled) {
    done(
      work,
      job,
      rollout,
      `${copies.length === 1 ? 'its copy runs' : `all ${copies.length} copies run`} it, and well`,
    );
    return;
  }
  if (rollout.paused || rollout.failed !== null) return;
  const failure = failureIn(work, job, rollout, copies);
  if (failure === null) return;
  const back = job.spec.update.auto_revert && rollout.revertOf === null && job.goodVersion !== rollout.to;
  work.actions.push({
    kind: 'roll-failed',
    job: job.name,
    version: rollout.to,
    revertTo: back ? job.goodVersion : null,
    reason: failure,
  });
}

function done(work: WorkingState, job: JobRecord, rollout: RollOut, reason: string): void {
  work.actions.push({ kind: 'roll-done', job: job.name, version: rollout.to, reason });
}

/** Why the version has failed, if it has. The clock of a copy runs while its machine is there for it. */
function failureIn(work: WorkingState, job: JobRecord, rollout: RollOut, copies: readonly CopyRecord[]): string | null {
  const { snapshot } = work;
  const namesMs = job.spec.dns_basename === undefined ? 0 : (snapshot.dnsWaitMs ?? 0);
  const deadlineMs = job.spec.update.deadline * 1000 + namesMs;
  for (const copy of copies) {
    if (copy.version !== rollout.to || isReady(snapshot, copy)) continue;
    const machine = snapshot.machines.get(copy.machine);
    if (machine?.state !== 'ready' || !snapshot.contacts.get(copy.machine)?.connected) continue;
    const task = taskInForce(snapshot, copy);
    if (task?.phase === 'failed') return `${copy.id}: ${task.reason}`;
    // One that was well and has just ended has its time again; one that ends again and again has not.
    const ended = task?.lastEnd && !task.flapping ? Date.parse(task.lastEnd.endedAt) : 0;
    const since = Math.max(copy.changedAt, machine.stateSince, rollout.startedAt, snapshot.startedAt, ended);
    const deadline = since + deadlineMs;
    if (snapshot.now >= deadline) {
      const why = copy.lastError ?? task?.lastEnd?.sentence ?? task?.reason ?? 'its machine has not reported it';
      return `${copy.id} was not ready ${job.spec.update.deadline} s after it was given version ${rollout.to}: ${why}`;
    }
    work.wake(deadline);
  }
  return null;
}

/** Copies that there should be: by its layout, or one on each machine that its leader is on. */
function wantedOf(work: WorkingState, job: JobRecord): number {
  const leader = job.spec.linked_job;
  if (leader === undefined)
    return Object.values(job.spec.deployment_layout).reduce((sum, entry) => sum + copiesIn(entry), 0);
  let machines = 0;
  for (const copies of work.placesOf(leader).values()) if (copies > 0) machines += 1;
  return machines;
}

/** A follower without copies, whose leader is still to come: its version was not tried yet. What a stopped job leads is not to come. */
function awaitsLeader(work: WorkingState, links: LinkedJobs, job: JobRecord): boolean {
  const leader = links.leaderOf(job);
  if (!leader || leader.stopped) return false;
  return leader.spec.linked_job === undefined ? wantedOf(work, leader) > 0 : awaitsLeader(work, links, leader);
}
