import type { JobView, MachineView } from '../../core/contracts/cluster-api.ts';

/** Something that Cerebro is doing now. */
export interface UnderWay {
  kind: 'roll-out' | 'run' | 'machine';
  /** A job's name, or a machine's id. */
  about: string;
  state: string;
  sentence: string;
  /** ISO. */
  since: string;
  /** Copies that are where they should be, of all; null where that is no matter of copies. */
  progress: { done: number; of: number } | null;
  /** Of what its sentence speaks of, 0 to 100; null: that cannot be told. */
  percent: number | null;
}

const ON_THE_WAY = new Set(['requested', 'booting', 'deploying', 'draining', 'terminating']);

/** Roll-outs, runs and machines on their way, those that have taken longest first. */
export function underWay(jobs: readonly JobView[], machines: readonly MachineView[]): UnderWay[] {
  const rolling = new Map(
    jobs.flatMap((job) => (job.rollout ? [[job.name, { to: job.rollout.to, done: 0, of: 0 }]] : [])),
  );
  // One look over all copies, not one for each job.
  for (const machine of rolling.size === 0 ? [] : machines) {
    for (const { job, version, state } of machine.copies) {
      const count = rolling.get(job);
      if (!count || state === 'stopping') continue;
      count.of += 1;
      if (version === count.to && state === 'ready') count.done += 1;
    }
  }
  const found: UnderWay[] = [];
  for (const job of jobs) {
    const count = rolling.get(job.name);
    if (job.rollout && count) found.push(rollOut(job.name, job.rollout, count));
    const { lastRun } = job;
    if (lastRun?.state === 'running') {
      found.push({
        kind: 'run',
        about: job.name,
        state: 'running',
        sentence: `run ${lastRun.id}, ${lastRun.sentence}`,
        since: lastRun.startedAt,
        progress: null,
        percent: null,
      });
    }
  }
  for (const { id, state, reason, since, percent = null } of machines)
    if (ON_THE_WAY.has(state))
      found.push({ kind: 'machine', about: id, state, sentence: reason, since, progress: null, percent });
  return found.sort((a, b) => a.since.localeCompare(b.since));
}

function rollOut(
  job: string,
  rollout: NonNullable<JobView['rollout']>,
  { done, of }: { done: number; of: number },
): UnderWay {
  const back = rollout.revertOf === null ? '' : `, back from version ${rollout.revertOf}`;
  const how = rollout.promoted ? ', all the rest at once' : '';
  return {
    kind: 'roll-out',
    about: job,
    state: rollout.state,
    sentence: rollout.sentence ?? `to version ${rollout.to}${back}${how}`,
    since: rollout.startedAt,
    progress: { done, of },
    percent: null,
  };
}
