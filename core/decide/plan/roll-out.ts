import type { CopyRecord } from '../../model/copy.ts';
import { type JobRecord, type RollOut, runsByTurns } from '../../model/job.ts';
import { changeCopies, type Due } from './change-copies.ts';
import { isReady, readySince, taskInForce } from './copy-ready.ts';
import { updatedBeside } from './follow-leaders.ts';
import type { LinkedJobs } from './linked-jobs.ts';
import { outgrown } from './move-copies.ts';
import { hasRoom, mayGoOn, staysBehind } from './stays-behind.ts';
import { wantedOf } from './wanted-of.ts';
import type { WorkingState } from './working-state.ts';

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
  if (due.length > 0) changeCopies(work, links, job, copies, due);
  if (job.rollout) judge(work, links, job, job.rollout, copies);
}

/** Notes besides what a copy runs beside, where that is not known yet and nothing is due. */
function dueFor(work: WorkingState, links: LinkedJobs, job: JobRecord, copy: CopyRecord): Due | null {
  const beside = updatedBeside(work, links, job, copy);
  const { known, mayRun } = beside;
  // Also where its own update is due: that may have to wait, and what is updated beside it meanwhile is not to be missed.
  const noted = mayRun ? null : known;
  const base = { copy, noted };
  const restart = (): Due | null => {
    const reason = restartReason(work, job, copy, beside);
    return reason === null ? null : { ...base, kind: 'restart', reason, otherwise: () => null };
  };
  const due = updateOrElse(work, links, job, copy, restart, base);
  if (due === null && noted) work.actions.push({ kind: 'note-links', copy: copy.id, linked: noted });
  return due;
}

function updateOrElse(
  work: WorkingState,
  links: LinkedJobs,
  job: JobRecord,
  copy: CopyRecord,
  restart: () => Due | null,
  base: Pick<Due, 'copy' | 'noted'>,
): Due | null {
  if (copy.version === job.version || !mayGoOn(job)) return restart();
  if (waitsForLeader(work, links, job, copy)) return null;
  const reason = `"${job.name}" goes from version ${copy.version} to ${job.version}`;
  if (job.spec.linked_job === undefined || hasRoom(work, job, copy))
    return { ...base, kind: 'update', reason, otherwise: restart };
  // There is no other place for it than beside its leader. It takes nobody's turn, and is restarted as it is where that is due.
  work.complain(
    { job: job.name, machine: copy.machine },
    `${outgrown(job, copy)} beside "${job.spec.linked_job}"; it stays at version ${copy.version} until there is`,
  );
  return restart();
}

/** Why a copy is to be started anew with the version that it has; null: it is not. */
function restartReason(
  work: WorkingState,
  job: JobRecord,
  copy: CopyRecord,
  { updated, known, mayRun }: ReturnType<typeof updatedBeside>,
): string | null {
  if (copy.jobRestarts < job.restarts) return `"${job.name}" is being restarted`;
  if (updated.length > 0) {
    const names = updated.map(({ name, version }) => `"${name}" was updated to version ${version}`).join(', ');
    return `${names} beside it`;
  }
  if (!known || !mayRun) return null;
  const reason = 'its leader was updated before it was known to run';
  // What its machine has, started by an order that nobody answered, is started anew in its turn. What was not started costs nothing.
  if (mayBeOn(work, copy)) return reason;
  work.actions.push({ kind: 'restart-copy', copy: copy.id, jobRestarts: copy.jobRestarts, linked: known, reason });
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

/** A follower without copies, whose leader is still to come: its version was not tried yet. What a stopped job leads is not to come. */
function awaitsLeader(work: WorkingState, links: LinkedJobs, job: JobRecord): boolean {
  const leader = links.leaderOf(job);
  if (!leader || leader.stopped) return false;
  return leader.spec.linked_job === undefined ? wantedOf(work, leader) > 0 : awaitsLeader(work, links, leader);
}
