import type { JobView } from '../../model/cluster-view.ts';

/** Why a job as a whole has fewer copies than one might think, or another version, and what comes next. `leaders`: copies of the job that it follows. */
export function jobSentences(job: JobView, copies: { own: number; leaders: number }): string[] {
  const sentences: string[] = [];
  if (job.state === 'removing') sentences.push('it is being removed: it is forgotten when its copies have ended');
  else if (job.stopped) sentences.push(`it was stopped; it is started again by: cerebro start "${job.name}"`);
  else if (job.nextRun !== null) sentences.push(`it runs by turns; its next run begins at ${job.nextRun}`);
  else if (job.linkedJob !== null && copies.own === 0 && copies.leaders === 0)
    sentences.push(`it follows "${job.linkedJob}", which has no copies; it comes to each machine that one comes to`);
  const rollout = rollOutSentence(job);
  if (rollout !== null) sentences.push(rollout);
  return sentences;
}

function rollOutSentence({ name, rollout }: JobView): string | null {
  if (rollout === null) return null;
  const what =
    rollout.revertOf === null
      ? `version ${rollout.to} is being rolled out`
      : `it goes back from version ${rollout.revertOf} to version ${rollout.to}`;
  switch (rollout.state) {
    case 'rolling':
      return `${what}${rollout.promoted ? ', to all copies at once' : ', copy by copy as each is well'}`;
    case 'paused':
      return `${what}, and was paused: no more copies are given it until: cerebro rollout "${name}" resume`;
    case 'failed':
      return `version ${rollout.to} has failed: ${rollout.sentence}; no more copies are given it. Apply another version, or: cerebro rollback "${name}"`;
  }
}
