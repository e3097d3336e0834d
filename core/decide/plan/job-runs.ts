import type { CopyRecord } from '../../model/copy.ts';
import { canonical, copiesIn, type JobRecord, type JobRun, type JobSpec } from '../../model/job.ts';
import { lastTime, nextTime } from '../../model/schedule.ts';
import { taskInForce } from './copy-ready.ts';
import type { WorkingState } from './working-state.ts';

/**
 * Moves a job's runs along: notes what became of their copies, ends those whose copies have all ended, and begins the one that its
 * schedule asks for. What came due while nobody looked is begun once, however often it came due.
 */
export function stepRuns(work: WorkingState, job: JobRecord): void {
  const copies = work.copiesByJob.get(job.name) ?? [];
  let going = 0;
  for (const run of job.runs) {
    if (run.state !== 'running') continue;
    if (job.stopped) endRun(work, job, run, 'stopped', `"${job.name}" was stopped`);
    else if (
      !stepRun(
        work,
        job,
        run,
        copies.filter((copy) => copy.run === run.id),
      )
    )
      going += 1;
  }
  const { schedule } = job.spec;
  if (schedule === undefined || job.stopped) return;
  const { now } = work.snapshot;
  const due = lastTime(schedule, job.scheduledUntil, now);
  // Up to `scheduledUntil` all is settled, also where the clock was set back behind it.
  const next = nextTime(schedule, Math.max(now, job.scheduledUntil));
  if (next !== null) work.wake(next);
  if (due === null) return;
  const skipped = going > 0 && schedule.overlap === 'skip';
  if (going > 0 && schedule.overlap === 'replace') {
    for (const run of job.runs)
      if (run.state === 'running') endRun(work, job, run, 'stopped', 'the next one took its place');
  }
  const at = new Date(due).toISOString();
  const sentence = skipped ? `was due at ${at}, and the one before still runs` : `was due at ${at}`;
  work.actions.push({
    kind: 'begin-run',
    job: job.name,
    scheduledUntil: now,
    run: {
      id: nextRunId(job),
      due,
      by: 'its schedule',
      version: job.version,
      state: skipped ? 'skipped' : 'running',
      startedAt: now,
      endedAt: skipped ? now : null,
      sentence,
    },
    reason: sentence,
  });
}

/**
 * Up to when there is nothing to begin, once a job has this specification. A schedule that is new or different asks for nothing of the
 * time before it, nor for what the old one was looked at for: `now` is when somebody asked, which may be a while ago.
 */
export function settledUntil(before: JobRecord, spec: JobSpec, now: number): number {
  const changed = canonical(before.spec.schedule) !== canonical(spec.schedule);
  return changed ? Math.max(before.scheduledUntil, now) : before.scheduledUntil;
}

export function nextRunId(job: Pick<JobRecord, 'runs'>): number {
  return Math.max(0, ...job.runs.map((run) => run.id)) + 1;
}

/** true: the run has ended. */
function stepRun(work: WorkingState, job: JobRecord, run: JobRun, copies: readonly CopyRecord[]): boolean {
  let ended = 0;
  const failed: string[] = [];
  for (const copy of copies) {
    const outcome = copy.outcome ?? noteOutcome(work, copy);
    if (outcome === null) continue;
    ended += 1;
    if (outcome === 'failed') failed.push(copy.id);
  }
  const wanted = Object.values(job.spec.deployment_layout).reduce((sum, entry) => sum + copiesIn(entry), 0);
  if (ended < wanted || ended < copies.length) return false;
  if (failed.length > 0) endRun(work, job, run, 'failed', `${failed.join(', ')} failed`);
  else endRun(work, job, run, 'completed', ended === 1 ? 'it has exited well' : `its ${ended} copies have exited well`);
  return true;
}

/** How the part of a copy in its run ended, noted for when its machine is not there to be asked any more; null: it has not. */
export function noteOutcome(work: WorkingState, copy: CopyRecord): CopyRecord['outcome'] {
  const task = taskInForce(work.snapshot, copy);
  if (!task || (task.phase !== 'exited' && task.phase !== 'failed')) return null;
  const outcome = task.phase === 'exited' && (task.lastEnd?.code ?? 0) === 0 ? 'completed' : 'failed';
  work.actions.push({ kind: 'copy-outcome', copy: copy.id, outcome, reason: task.lastEnd?.sentence ?? task.reason });
  return outcome;
}

function endRun(work: WorkingState, job: JobRecord, run: JobRun, state: JobRun['state'], reason: string): void {
  work.actions.push({ kind: 'end-run', job: job.name, run: run.id, state, reason });
}
