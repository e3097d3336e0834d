import type { CopyRecord } from '../../model/copy.ts';
import { type JobRecord, reservationOf } from '../../model/job.ts';
import { followLeader } from './follow-leaders.ts';
import type { LinkedJobs } from './linked-jobs.ts';
import { placeCopies } from './place-copies.ts';
import type { WorkingState } from './working-state.ts';

/**
 * Moves copies for whose next version their machines have no room: their successors are given places, on new machines if need be, and
 * only then are they stopped. Returns those for which there is none; they stay as they are, and that is said.
 */
export function moveCopies<Mover extends { copy: CopyRecord }>(
  work: WorkingState,
  links: LinkedJobs,
  job: JobRecord,
  movers: readonly Mover[],
): Mover[] {
  const alike = new Map<string, Mover[]>();
  for (const mover of movers) {
    const key = `${mover.copy.zone} ${mover.copy.version}`;
    const others = alike.get(key);
    if (others) others.push(mover);
    else alike.set(key, [mover]);
  }
  const stayed = [...alike.values()].flatMap((some) => moveAlike(work, links, job, some));
  if (stayed.length === movers.length) return stayed;
  // What is linked to them goes with them, before its room is given to others.
  for (const follower of links.chainsInOrder())
    if (links.rootOf(follower).name === job.name && follower.state === 'active') followLeader(work, links, follower);
  return stayed;
}

/** Of one zone and one version. */
function moveAlike<Mover extends { copy: CopyRecord }>(
  work: WorkingState,
  links: LinkedJobs,
  job: JobRecord,
  movers: readonly Mover[],
): Mover[] {
  const [first] = movers;
  if (!first) return [];
  const { zone, version } = first.copy;
  const along = links.alongside(job.name, zone);
  const before = work.actions.length;
  placeCopies(work, [
    {
      job,
      zone,
      fallback: job.spec.deployment_layout[zone]?.fallback ?? [],
      count: movers.length,
      ...reservationOf(job.spec, zone),
      run: null,
      version: job.version,
      alongCpu: along.cpu,
      alongMem: along.mem,
      reason: `"${job.name}" goes from version ${version} to ${job.version}`,
      instead: movers.map(({ copy }) => ({ copy: copy.id, why: outgrown(job, copy) })),
    },
  ]);
  const placed = work.actions.slice(before).filter(({ kind }) => kind === 'place-copy').length;
  for (const { copy } of movers.slice(0, placed)) work.stopCopy(copy, outgrown(job, copy));
  const stayed = movers.slice(placed);
  const [one, ...others] = stayed;
  if (one) {
    const who = others.length === 0 ? `${one.copy.id} stays` : `${one.copy.id} and ${others.length} more stay`;
    work.complain(
      { job: job.name, machine: one.copy.machine },
      `${outgrown(job, one.copy)}; nor is there another place, so ${who} at version ${version} until there is`,
      `room/${job.name}`,
    );
  }
  return stayed;
}

/** Why a copy cannot have its job's next version where it is. */
export function outgrown(job: JobRecord, { zone, machine }: Pick<CopyRecord, 'zone' | 'machine'>): string {
  const { cpu, mem } = reservationOf(job.spec, zone);
  return `version ${job.version} of "${job.name}" needs ${cpu} cores and ${mem} MB, for which ${machine} has no room`;
}
