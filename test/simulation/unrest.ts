import type { CopyRecord } from '../../core/model/copy.ts';
import { copiesIn, type JobRecord, reservationOf, runsByTurns } from '../../core/model/job.ts';
import type { Settings } from '../../core/model/settings.ts';
import { type Cloud, isForeign } from './cloud.ts';
import type { Ledger } from './ledger.ts';

/** What is not yet as people want it, in truth: one sentence each; none: everything wanted runs, and nothing else does. */
export function unrest(ledger: Ledger, cloud: Cloud, settings: Settings): string[] {
  return [
    ...machinesAtOdds(ledger, cloud),
    ...idleAtOdds(ledger, settings),
    ...copiesAtOdds(ledger, cloud),
    ...jobsAtOdds(ledger, cloud),
  ];
}

function machinesAtOdds(ledger: Ledger, cloud: Cloud): string[] {
  const found: string[] = [];
  for (const machine of ledger.machines.values()) {
    if (machine.state !== 'ready') found.push(`${machine.id} is ${machine.state}: ${machine.reason}`);
    if (cloud.ofMachine(machine.id)?.ref !== machine.ref) found.push(`${machine.id} is not ${machine.ref}`);
  }
  for (const instance of cloud.instances) {
    if (isForeign(instance) && instance.state !== 'running')
      found.push(`${instance.ref}, which is not ours, is ${instance.state}`);
    else if (!isForeign(instance) && instance.state !== 'gone' && !ledger.machines.has(instance.machineId))
      found.push(`${instance.ref} runs for ${instance.machineId}, of which there is no record`);
  }
  return found;
}

function idleAtOdds(ledger: Ledger, settings: Settings): string[] {
  const idle = new Map<string, number>();
  for (const { id, zone, cordoned } of ledger.machines.values())
    if (!cordoned && ledger.onMachine(id).every((copy) => ledger.isLeft(copy)))
      idle.set(zone, (idle.get(zone) ?? 0) + 1);
  const { maxIdlePerZone } = ledger.runtime;
  return [...idle].flatMap(([zone, count]) => {
    const most = maxIdlePerZone[zone] ?? maxIdlePerZone['*'] ?? settings.max_idle_per_zone;
    return most >= 0 && count > most ? [`${zone} has ${count} idle machines, and is to keep ${most}`] : [];
  });
}

function copiesAtOdds(ledger: Ledger, cloud: Cloud): string[] {
  const found: string[] = [];
  for (const copy of ledger.copies.values()) {
    if (ledger.isLeft(copy)) continue;
    const job = ledger.jobs.get(copy.job);
    if (copy.wanted === 'stop') found.push(`${copy.id} is being stopped`);
    else if (copy.version !== job?.version) {
      if (!job || !hasOutgrown(copy, job, ledger))
        found.push(`${copy.id} is of version ${copy.version}, not ${job?.version}`);
    } else if (copy.jobRestarts < job.restarts) found.push(`${copy.id} has not been restarted with its job`);
    else if (cloud.task(copy)?.isWell(copy) !== true) found.push(`${copy.id} does not run well on ${copy.machine}`);
  }
  for (const { machine } of cloud.live()) {
    for (const id of machine.tasks.keys())
      if (ledger.copies.get(id)?.machine !== machine.about.id)
        found.push(`${machine.about.id} has ${id}, which nobody wants there`);
  }
  return found;
}

function jobsAtOdds(ledger: Ledger, cloud: Cloud): string[] {
  const found: string[] = [];
  const byJob = new Map<string, CopyRecord[]>();
  for (const copy of ledger.copies.values())
    if (!ledger.isLeft(copy)) byJob.set(copy.job, [...(byJob.get(copy.job) ?? []), copy]);
  for (const job of ledger.jobs.values()) {
    const copies = byJob.get(job.name) ?? [];
    if (job.state === 'removing') found.push(`"${job.name}" is being removed`);
    else if (job.spec.linked_job === undefined) found.push(...layoutAtOdds(job, copies));
    else found.push(...linkAtOdds(job, job.spec.linked_job, byJob, ledger, cloud));
    if (job.rollout && !job.stopped && isSeated(job, ledger, byJob))
      found.push(`"${job.name}" is still on its way to version ${job.rollout.to}`);
    for (const run of job.runs) if (run.state === 'running') found.push(`run ${run.id} of "${job.name}" still goes on`);
  }
  return found;
}

/** false: for it, or for what it follows, there is no room beside the leader, so it stays on its way, and says so. */
function isSeated(job: JobRecord, ledger: Ledger, byJob: ReadonlyMap<string, CopyRecord[]>): boolean {
  const leader = job.spec.linked_job === undefined ? undefined : ledger.jobs.get(job.spec.linked_job);
  if (!leader || leader.stopped) return true;
  const own = byJob.get(job.name) ?? [];
  if (own.length < machinesOf(byJob.get(leader.name) ?? [])) return false;
  if (own.some((copy) => copy.version !== job.version && hasOutgrown(copy, job, ledger))) return false;
  return own.length > 0 || isSeated(leader, ledger, byJob);
}

/** A follower's next version needs more than there is beside its leader, and it has no other place: it stays as it is, and that is said. */
function hasOutgrown(copy: CopyRecord, job: JobRecord, ledger: Ledger): boolean {
  return job.spec.linked_job !== undefined && !hasRoomFor(job, copy.machine, ledger, copy);
}

function machinesOf(copies: readonly CopyRecord[]): number {
  return new Set(copies.map(({ machine }) => machine)).size;
}

function layoutAtOdds(job: JobRecord, copies: readonly CopyRecord[]): string[] {
  // What was run by hand is not run once more.
  const layout = job.stopped || runsByTurns(job) ? {} : job.spec.deployment_layout;
  const zones = new Set([...Object.keys(layout), ...copies.map(({ zone }) => zone)]);
  return [...zones].flatMap((zone) => {
    const entry = layout[zone];
    const wanted = entry ? copiesIn(entry) : 0;
    const have = copies.filter((copy) => copy.zone === zone).length;
    return have === wanted ? [] : [`"${job.name}" has ${have} of ${wanted} copies in ${zone}`];
  });
}

/** A follower is on the machines of its leader and on no other, but where it truly does not fit; and was started anew after it. */
function linkAtOdds(
  job: JobRecord,
  leader: string,
  byJob: ReadonlyMap<string, CopyRecord[]>,
  ledger: Ledger,
  cloud: Cloud,
): string[] {
  const copies = byJob.get(job.name) ?? [];
  const own = copies.map(({ machine }) => machine);
  const leaders = job.stopped ? [] : (byJob.get(leader) ?? []);
  const led = new Set(leaders.map(({ machine }) => machine));
  const found = own.filter((id) => !led.has(id)).map((id) => `"${job.name}" runs on ${id}, and "${leader}" does not`);
  if (new Set(own).size < own.length) found.push(`"${job.name}" is twice on one of ${own.join(', ')}`);
  for (const id of led) {
    if (own.includes(id) || !hasRoomFor(job, id, ledger)) continue;
    found.push(`"${leader}" runs on ${id}, and "${job.name}" does not`);
  }
  for (const copy of job.spec.link_restart === 'none' ? [] : copies) {
    // What was updated before they were coupled is no matter of the link's.
    const startedAt = Math.max(cloud.task(copy)?.startedAt ?? 0, ledger.coupledSince.get(job.name) ?? 0);
    const older = leaders.find((other) => {
      const before = other.machine === copy.machine ? cloud.task(other)?.versionAt(startedAt) : undefined;
      return before !== undefined && before !== other.version;
    });
    if (older) found.push(`${copy.id} was not started anew since ${older.id} was updated beside it`);
  }
  return found;
}

/** Whether a machine has room for a copy of a job, be it in the place of another. */
function hasRoomFor(job: JobRecord, id: string, ledger: Ledger, instead?: CopyRecord): boolean {
  const machine = ledger.machines.get(id);
  if (!machine) return false;
  const { cpu, mem } = reservationOf(job.spec, machine.zone);
  const copies = ledger.onMachine(id).filter((copy) => !ledger.isLeft(copy) && copy !== instead);
  const usedCpu = copies.reduce((sum, copy) => sum + copy.cpu, 0);
  const usedMem = copies.reduce((sum, copy) => sum + copy.mem, 0);
  return usedCpu + cpu <= machine.cpu + 1e-6 && usedMem + mem <= machine.mem + 1e-6;
}
