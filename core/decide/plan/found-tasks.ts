import { canonical, type JobRecord, type JobSpec, reservationOf, runsByTurns } from '../../model/job.ts';
import type { MachineRecord } from '../../model/machine.ts';
import type { Action, ClusterSnapshot } from '../../model/plan.ts';
import type { TaskDefinition } from '../../model/task.ts';

/** The ids that copies have: `SLUG.SERIAL`. What is called otherwise was never a copy. */
const COPY_ID = /\.\d+$/;

/** Every task that was found on an adopted machine and is still nobody's, with its machine. */
export function* foundTasks(
  machines: Iterable<Pick<MachineRecord, 'id' | 'zone' | 'state' | 'found'>>,
): Generator<{ machine: Pick<MachineRecord, 'id' | 'zone'>; task: TaskDefinition }> {
  for (const machine of machines) {
    if (machine.state === 'lost' || machine.state === 'terminating') continue;
    for (const task of machine.found ?? []) yield { machine, task };
  }
}

/**
 * What of them becomes a copy now, because there is a job of that name. A task that was defined as the job is now goes on as it runs,
 * where its version has the job's number; anything else is a copy with an older version, which is rolled like any other.
 *
 * It is a plan of its own: what the job lacks besides is seen when these are copies.
 */
export function takeFound(snapshot: Pick<ClusterSnapshot, 'jobs' | 'machines' | 'copies'>): Action[] {
  const actions: Action[] = [];
  const taken = new Set<string>();
  for (const { machine, task } of foundTasks(snapshot.machines.values())) {
    const job = snapshot.jobs.get(task.job);
    if (!job || !mayTake(job) || taken.has(task.id)) continue;
    // Another copy has its name by now: two of one name there cannot be.
    if (!COPY_ID.test(task.id) || snapshot.copies.has(task.id)) continue;
    taken.add(task.id);
    const same = isShapeOf(task, job.spec);
    actions.push({
      kind: 'take-copy',
      copy: task.id,
      job: job.name,
      machine: machine.id,
      zone: machine.zone,
      version: task.version,
      generation: task.generation,
      // The job gave that number to something else: it is started anew, as what the number stands for now.
      restart: !same && task.version === job.version,
      ...reservationOf(job.spec, machine.zone),
      reason: same
        ? `it was found running there as "${job.name}" is to run`
        : `it was found running there, as an older version of "${job.name}"`,
    });
  }
  return actions;
}

/** Whether a task was defined as a job defines its copies. What a recipe brought to the machine cannot be seen. */
export function isShapeOf(task: TaskDefinition, spec: JobSpec): boolean {
  return canonical(task.configuration) === canonical(spec.task_configuration);
}

/**
 * Where a new job goes on counting, should copies of it have been found: with the number that those have which run as it says, or
 * after all of theirs. null: none was found.
 */
export function countingOn(
  machines: Iterable<Pick<MachineRecord, 'id' | 'zone' | 'state' | 'found'>>,
  spec: JobSpec,
): { version: number; lastVersion: number; nextSerial: number } | null {
  const tasks = [...foundTasks(machines)].map(({ task }) => task).filter((task) => isOf(task, spec));
  if (tasks.length === 0) return null;
  const highest = Math.max(...tasks.map(({ version }) => version));
  const alike = tasks.filter((task) => isShapeOf(task, spec)).map(({ version }) => version);
  const version = alike.length > 0 ? Math.max(...alike) : highest + 1;
  const serials = tasks.map(({ id }) => Number(id.slice(id.lastIndexOf('.') + 1)));
  return { version, lastVersion: Math.max(highest, version), nextSerial: Math.max(...serials) + 1 };
}

function isOf(task: TaskDefinition, spec: JobSpec): boolean {
  return task.job === spec.task_configuration.name && COPY_ID.test(task.id);
}

/** Whether tasks become copies of it. Which run one belongs to nobody knows any more, so what runs by turns is left alone. */
export function mayTake(job: JobRecord): boolean {
  return job.state === 'active' && !job.stopped && !runsByTurns(job);
}
