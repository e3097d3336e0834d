import type { CopyRecord } from '../../model/copy.ts';
import { type JobRecord, reservationOf } from '../../model/job.ts';
import { isReady } from './copy-ready.ts';
import type { LinkedJobs } from './linked-jobs.ts';
import { staysBehind } from './stays-behind.ts';
import type { WorkingState } from './working-state.ts';

/** Puts one copy of a linked job on every machine that its leader runs on, and on no other; by one plan as often as the leader moves. */
export function followLeader(work: WorkingState, links: LinkedJobs, job: JobRecord): void {
  const leader = job.spec.linked_job;
  if (leader === undefined) return;
  if (job.stopped) {
    for (const copy of work.copiesByJob.get(job.name) ?? []) work.stopCopy(copy, `"${job.name}" was stopped`);
    return;
  }
  const root = links.rootOf(job).name;
  const leads = work.placesOf(leader);
  const machines = new Set<string>();
  for (const id of work.seats.keys()) if (leads.get(id)) machines.add(id);
  for (const copy of work.copiesByJob.get(job.name) ?? []) {
    if (machines.has(copy.machine) || work.stopped.has(copy.id)) continue;
    work.stopCopy(copy, `"${leader}", to which "${job.name}" is linked, does not run on ${copy.machine}`);
  }
  const own = work.placesOf(job.name);
  for (const id of machines) {
    const seat = work.seats.get(id);
    if (!seat || own.get(id)) continue;
    const { cpu, mem } = reservationOf(job.spec, seat.zone);
    // Its room may have been taken together with its leader's.
    const isPledged = seat.pledgedTo.has(root);
    if (!isPledged) {
      if (cpu > seat.freeCpu + 1e-6 || mem > seat.freeMem + 1e-6) {
        work.complain(
          { job: job.name, machine: id },
          `"${job.name}" is to follow "${leader}" on ${id}, but needs ${cpu} cores and ${mem} MB and ${seat.freeCpu} and ${seat.freeMem} are free; it is started when there is room`,
        );
        continue;
      }
    }
    work.place(seat, job.name, isPledged ? null : { cpu, mem });
    const reason = `follows "${leader}" on ${id}`;
    work.actions.push({
      kind: 'place-copy',
      copy: work.nextCopyId(job),
      job: job.name,
      version: job.version,
      zone: seat.zone,
      machine: id,
      cpu,
      mem,
      run: null,
      linked: linkedVersions(work, links, job, { machine: id, linked: {} }, 'place'),
      reason,
    });
  }
}

/**
 * The versions of linked jobs' copies on a machine that a copy is started beside. With an update of its own, followers that are still
 * to be updated count as updated, for they come after it and need not restart it once more. Nothing waits for a leader that is just on
 * its way to another version: whatever that comes to, be it the one from before, is another than what is noted then. Of one that is
 * not ready stays noted what was: what it comes to is still to be started after.
 */
export function linkedVersions(
  work: WorkingState,
  links: LinkedJobs,
  job: JobRecord,
  { machine, linked: before }: Pick<CopyRecord, 'machine' | 'linked'>,
  why: 'place' | 'update' | 'restart',
): Record<string, number> {
  const linked: Record<string, number> = { ...before };
  for (const partner of links.partnersOf(job)) {
    const beside = work.copiesOn(machine, partner.name);
    const leads = partner.name === job.spec.linked_job;
    // A leader that is placed by the same plan is not there yet.
    if (beside.length === 0 && !leads) continue;
    if (leads && why !== 'place') {
      linked[partner.name] = leaderNow(work, partner, beside) ?? before[partner.name] ?? BETWEEN_VERSIONS;
      continue;
    }
    const comesAfter = why === 'update' && partner.spec.linked_job === job.name;
    const behind = comesAfter ? undefined : beside.find(({ version }) => version !== partner.version);
    linked[partner.name] = behind?.version ?? partner.version;
  }
  return linked;
}

/**
 * The version of a partner's copies beside one, when all are ready and none is on its way to another: of those that stay behind
 * where they are, where there are any. null: it is not settled. Of a follower the version that is still to come is noted in advance,
 * so that one counts as settled with that alone.
 */
function settledVersion(
  work: WorkingState,
  partner: JobRecord,
  beside: readonly CopyRecord[],
  leads: boolean,
): number | null {
  if (beside.length === 0 || beside.some((other) => !isReady(work.snapshot, other))) return null;
  const behind = beside.filter(({ version }) => version !== partner.version);
  if (behind.some((other) => !leads || !staysBehind(work, partner, other))) return null;
  return behind[0]?.version ?? partner.version;
}

/** No version has this number. */
const BETWEEN_VERSIONS = 0;

/** The version of a leader that is there, to note with a start beside it; null: it is not ready, and comes after that start. */
function leaderNow(work: WorkingState, leader: JobRecord, beside: readonly CopyRecord[]): number | null {
  if (areBetweenVersions(beside)) return settledVersion(work, leader, beside, true) ?? BETWEEN_VERSIONS;
  const [one] = beside;
  return one && beside.every((other) => isReady(work.snapshot, other)) ? one.version : null;
}

function areBetweenVersions(copies: readonly CopyRecord[]): boolean {
  const [first] = copies;
  return copies.some(
    ({ version, taskVersion }) => version !== first?.version || (taskVersion !== null && taskVersion !== version),
  );
}

const NOTHING_BESIDE = { updated: [], known: null, mayRun: false } as const;

/**
 * The linked jobs that were updated beside a copy since it was last started: their copies there are ready with a version that it
 * has not been started with. `known` is what is to stand in its record when nothing needs a restart. `mayRun`: it was never
 * confirmed that it was started, but an order may have come through whose answer was lost.
 */
export function updatedBeside(
  work: WorkingState,
  links: LinkedJobs,
  job: JobRecord,
  copy: CopyRecord,
): { updated: readonly { name: string; version: number }[]; known: Record<string, number> | null; mayRun: boolean } {
  const partners = links.partnersOf(job);
  if (partners.length === 0) return NOTHING_BESIDE;
  const updated: { name: string; version: number }[] = [];
  let known: Record<string, number> | null = null;
  let mayRun = false;
  for (const partner of partners) {
    const beside = work.copiesOn(copy.machine, partner.name);
    if (copy.linked[partner.name] === undefined) {
      // They were not coupled before. What runs there now is noted at once, so that an update which is still to come is not missed.
      const given = givenVersion(beside, partner);
      if (given !== null) known = { ...(known ?? copy.linked), [partner.name]: given };
      continue;
    }
    const ready = beside.length > 0 && beside.every((other) => isReady(work.snapshot, other));
    const leads = partner.name === job.spec.linked_job;
    const settled = settledVersion(work, partner, beside, leads);
    if (leads && copy.taskVersion !== null && settled === null) {
      // It may be begun anew by its machine beside any of these. Whatever they come to, be it the version from before, it is started after.
      const left = mayHaveRun(beside).some((version) => version !== copy.linked[partner.name]);
      if (left && copy.linked[partner.name] !== BETWEEN_VERSIONS)
        known = { ...(known ?? copy.linked), [partner.name]: BETWEEN_VERSIONS };
      continue;
    }
    if (!ready) continue;
    if (copy.taskVersion === null) {
      // It is started beside what is there now, also where that is on its way to another version, or back from one.
      const given = givenVersion(beside, partner);
      if (given === null || copy.linked[partner.name] === given) continue;
      known = { ...(known ?? copy.linked), [partner.name]: given };
      mayRun = true;
    } else if (settled !== null && copy.linked[partner.name] !== settled) {
      updated.push({ name: partner.name, version: settled });
    }
  }
  return { updated, known, mayRun };
}

/** The versions that copies were given, and those that an order may have brought whose answer is still to come. */
function mayHaveRun(copies: readonly CopyRecord[]): number[] {
  return copies.flatMap(({ version, recipeVersion, taskVersion }) => {
    if (taskVersion === null) return [];
    return recipeVersion === version ? [taskVersion, version] : [taskVersion];
  });
}

/** The version that copies were last given: one that is behind, if any is; null while one of them has not been started yet. */
function givenVersion(copies: readonly CopyRecord[], { version }: JobRecord): number | null {
  if (copies.length === 0 || copies.some(({ taskVersion }) => taskVersion === null)) return null;
  return copies.find(({ taskVersion }) => taskVersion !== version)?.taskVersion ?? version;
}
