import type { CopyRecord } from '../../core/model/copy.ts';
import { copiesIn, type JobRecord, reservationOf } from '../../core/model/job.ts';
import type { Cloud } from './cloud.ts';
import { isForeign } from './cloud.ts';
import type { Ledger } from './ledger.ts';

/** What is not yet as people want it, in truth: one sentence each; none: everything wanted runs, and nothing else does. */
export function unrest(ledger: Ledger, cloud: Cloud): string[] {
  return [...machinesAtOdds(ledger, cloud), ...copiesAtOdds(ledger, cloud), ...jobsAtOdds(ledger)];
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

function copiesAtOdds(ledger: Ledger, cloud: Cloud): string[] {
  const found: string[] = [];
  for (const copy of ledger.copies.values()) {
    const job = ledger.jobs.get(copy.job);
    const machine = cloud.ofMachine(copy.machine)?.machine;
    if (copy.wanted === 'stop') found.push(`${copy.id} is being stopped`);
    else if (copy.version !== job?.version) found.push(`${copy.id} is of version ${copy.version}, not ${job?.version}`);
    else if (machine?.runsWell(copy.id, copy.version) !== true)
      found.push(`${copy.id} does not run well on ${copy.machine}`);
  }
  for (const { machine } of cloud.live()) {
    for (const id of machine.tasks.keys())
      if (ledger.copies.get(id)?.machine !== machine.about.id)
        found.push(`${machine.about.id} has ${id}, which nobody wants there`);
  }
  return found;
}

function jobsAtOdds(ledger: Ledger): string[] {
  const found: string[] = [];
  const byJob = new Map<string, CopyRecord[]>();
  for (const copy of ledger.copies.values()) byJob.set(copy.job, [...(byJob.get(copy.job) ?? []), copy]);
  for (const job of ledger.jobs.values()) {
    const copies = byJob.get(job.name) ?? [];
    if (job.state === 'removing') found.push(`"${job.name}" is being removed`);
    else if (job.spec.linked_job === undefined) found.push(...layoutAtOdds(job, copies));
    else found.push(...linkAtOdds(job, job.spec.linked_job, byJob, ledger));
  }
  return found;
}

function layoutAtOdds(job: JobRecord, copies: readonly CopyRecord[]): string[] {
  const zones = new Set([...Object.keys(job.spec.deployment_layout), ...copies.map(({ zone }) => zone)]);
  return [...zones].flatMap((zone) => {
    const entry = job.spec.deployment_layout[zone];
    const wanted = entry ? copiesIn(entry) : 0;
    const have = copies.filter((copy) => copy.zone === zone).length;
    return have === wanted ? [] : [`"${job.name}" has ${have} of ${wanted} copies in ${zone}`];
  });
}

/** A follower is on the machines of its leader and on no other, but where it truly does not fit. */
function linkAtOdds(
  job: JobRecord,
  leader: string,
  byJob: ReadonlyMap<string, CopyRecord[]>,
  ledger: Ledger,
): string[] {
  const own = (byJob.get(job.name) ?? []).map(({ machine }) => machine);
  const led = new Set((byJob.get(leader) ?? []).map(({ machine }) => machine));
  const found = own.filter((id) => !led.has(id)).map((id) => `"${job.name}" runs on ${id}, and "${leader}" does not`);
  if (new Set(own).size < own.length) found.push(`"${job.name}" is twice on one of ${own.join(', ')}`);
  for (const id of led) {
    if (own.includes(id) || !hasRoomFor(job, id, ledger)) continue;
    found.push(`"${leader}" runs on ${id}, and "${job.name}" does not`);
  }
  return found;
}

function hasRoomFor(job: JobRecord, id: string, ledger: Ledger): boolean {
  const machine = ledger.machines.get(id);
  if (!machine) return false;
  const { cpu, mem } = reservationOf(job.spec, machine.zone);
  const copies = ledger.onMachine(id);
  const usedCpu = copies.reduce((sum, copy) => sum + copy.cpu, 0);
  const usedMem = copies.reduce((sum, copy) => sum + copy.mem, 0);
  return usedCpu + cpu <= machine.cpu + 1e-6 && usedMem + mem <= machine.mem + 1e-6;
}
