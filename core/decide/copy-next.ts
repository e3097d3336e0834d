import type { CopyRecord, CopyState } from '../model/copy.ts';
import type { JobRecord } from '../model/job.ts';
import type { MachineRecord } from '../model/machine.ts';
import type { ClusterSnapshot, Complaint } from '../model/plan.ts';
import type { TaskStatus } from '../model/task.ts';
import { healthOf, lostAt } from './plan/judge-machines.ts';
import { singletonFreeAt } from './plan/singleton-free-at.ts';
import { clockTime } from './words/progress-sentence.ts';

/** A copy as it is shown: `decide/copy-state.ts` says of its state why it is in it. */
export interface ShownCopy {
  state: CopyState;
  task: TaskStatus | null;
  /** The job whose copies on its machine are to be ready first; null: it waits for none. */
  leader: string | null;
}

/**
 * What comes next for a copy that does not run as it should, in words that follow its reason: when, and by whose hand where it is not
 * ours. null: it runs, or its reason has said it.
 */
export function copyNext(
  copy: CopyRecord,
  shown: ShownCopy,
  snapshot: ClusterSnapshot,
  complaints: readonly Complaint[],
): string | null {
  const job = snapshot.jobs.get(copy.job);
  const machine = snapshot.machines.get(copy.machine);
  if (shown.state === 'ready' || !job) return null;
  if (shown.state === 'completed')
    return copy.run === null ? 'it may exit, so it is not started again' : 'its part of the run is done';
  if (!machine) return 'it is forgotten by the next plan, and begun elsewhere where it is wanted';
  const { id } = machine;
  if (machine.state === 'lost' || machine.state === 'terminating') return nextOfLost(copy, job, snapshot);
  if (copy.wanted === 'stop') return nextOfStopping(copy, job, machine, snapshot);
  if (healthOf(machine, snapshot) === 'unreachable' && isServing(machine)) {
    const brake = complaints.find(({ about, alert }) => about.machine === id && alert?.startsWith('brake/'));
    return brake?.sentence ?? `${id} is given up at ${clockTime(lostAt(machine, snapshot))} if it is silent until then`;
  }
  if (copy.taskVersion !== copy.version) return nextBeforeTask(copy, shown.leader, machine, snapshot);
  const held = snapshot.dnsHolds?.get(copy.id);
  if (held !== undefined) return `by ${clockTime(held)} at the latest`;
  const { task } = shown;
  if (!task || task.version !== copy.version || task.generation !== copy.generation)
    return `${id} is told again should it not know of it`;
  return nextOfTask(task, job, snapshot.now);
}

function nextOfLost(copy: CopyRecord, job: JobRecord, snapshot: ClusterSnapshot): string {
  const stops = copy.wanted === 'stop';
  if (!stops && copy.outcome !== null) return 'its part of the run is done, and is not begun again';
  const what = stops ? 'it is forgotten' : job.spec.singleton ? 'another is begun' : 'it is begun elsewhere';
  const free = job.spec.singleton ? singletonFreeAt(snapshot, copy, job) : 0;
  return free > snapshot.now
    ? `${what} at ${clockTime(free, snapshot.now)}, when it has certainly ended itself (singleton)`
    : `${what} by the next plan`;
}

function isServing({ state }: MachineRecord): boolean {
  return state === 'ready' || state === 'draining';
}

function nextOfStopping(
  copy: CopyRecord,
  job: JobRecord,
  machine: MachineRecord,
  snapshot: ClusterSnapshot,
): string | null {
  if (copy.lastError !== null) return null;
  const held = snapshot.dnsHolds?.get(copy.id);
  if (held !== undefined) return `by ${clockTime(held)} at the latest`;
  if (snapshot.contacts.get(machine.id)?.connected === false) return `it is ended when ${machine.id} is heard again`;
  return `it has ${job.spec.task_configuration.stop_timeout} s to end, and is killed then`;
}

function nextBeforeTask(
  copy: CopyRecord,
  leader: string | null,
  machine: MachineRecord,
  snapshot: ClusterSnapshot,
): string | null {
  const { id, state } = machine;
  if (state === 'requested') return machine.lastError === null ? `it is begun when ${id} is ready` : null;
  if (state === 'booting') {
    const deadline = clockTime(Math.max(machine.createdAt, machine.stateSince) + snapshot.limits.bootDeadlineMs);
    return `it is begun when ${id} is ready; another is ordered if that is not so by ${deadline}`;
  }
  if (state === 'deploying') return `it is begun when ${id}, which is being adopted, is ready`;
  if (copy.lastError !== null) return null;
  if (snapshot.contacts.get(id)?.connected === false)
    return `it is begun when that is, and elsewhere if ${id} is silent until ${clockTime(lostAt(machine, snapshot))}`;
  const held = snapshot.dnsHolds?.get(copy.id);
  if (held !== undefined) return `by ${clockTime(held)} at the latest`;
  if (leader !== null) return `it is started when all of "${leader}" there are ready`;
  return copy.recipeVersion === copy.version ? `it runs when ${id} has taken it` : 'it is started when that has ended';
}

function nextOfTask(task: TaskStatus, job: JobRecord, now: number): string | null {
  const { health_check: check, stop_timeout: grace } = job.spec.task_configuration;
  switch (task.phase) {
    case 'running':
      if (task.flapping) return 'it counts as ready when it keeps running';
      if (task.health?.state === 'unhealthy') return 'it is ended, and started again';
      return check ? `it is ready when that goes well, and is started again after ${check.failures} failures` : null;
    case 'starting':
      return 'its process is being started';
    case 'stopping':
      return `it has ${grace} s to end, and is killed then`;
    case 'backoff':
      return task.nextStartAt === null ? null : `the next start is at ${clockTime(Date.parse(task.nextStartAt), now)}`;
    case 'stopped':
      if (task.lastEnd?.reason === 'user') return `it stays so until somebody starts it: cerebro restart "${job.name}"`;
      return task.lastEnd?.reason === 'leash'
        ? 'it is started again, since its machine is heard'
        : 'it is started again with its machine';
    case 'failed':
      return `it is not started any more, until another version or: cerebro restart "${job.name}"`;
    case 'exited':
      return null;
  }
}
