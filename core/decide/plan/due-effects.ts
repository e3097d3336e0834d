import type { CopyRecord } from '../../model/copy.ts';
import type { MachineRecord } from '../../model/machine.ts';
import type { ClusterSnapshot, Orphan } from '../../model/plan.ts';
import type { TaskStatus } from '../../model/task.ts';
import { LeadersReady, type Linked } from './leaders-ready.ts';
import { isStranger } from './strangers.ts';

/**
 * Something to be done in the world because the records say so. Each is idempotent: after a crash the same records ask for it again.
 * `key` names what it works on; two effects of one key never run at once.
 */
export type Effect =
  | { kind: 'create-machine'; key: string; machine: MachineRecord }
  | { kind: 'destroy-machine'; key: string; machine: MachineRecord }
  /** Of a machine that was adopted: its sitter still believes in another authority. */
  | { kind: 'give-identity'; key: string; machine: MachineRecord }
  | { kind: 'end-orphan'; key: string; orphan: Orphan }
  | { kind: 'deploy-copy'; key: string; copy: CopyRecord; machine: MachineRecord }
  /** `copy` is null for a task that the machine has and the records do not know: a machine that came back is told so. */
  | { kind: 'remove-task'; key: string; task: string; copy: CopyRecord | null; machine: MachineRecord };

/** What the records ask for at this moment, and when (without news) they will ask for more. */
export function dueEffects(
  snapshot: Pick<
    ClusterSnapshot,
    | 'now'
    | 'jobs'
    | 'machines'
    | 'copies'
    | 'contacts'
    | 'orphans'
    | 'strangers'
    | 'adoptedBelow'
    | 'machineSerial'
    | 'limits'
    | 'dnsHolds'
  >,
): {
  effects: Effect[];
  wakeAt: number | null;
} {
  const effects: Effect[] = [];
  let wakeAt: number | null = null;
  const due = (record: { nextAttemptAt: number }): boolean => {
    if (record.nextAttemptAt <= snapshot.now) return true;
    if (wakeAt === null || record.nextAttemptAt < wakeAt) wakeAt = record.nextAttemptAt;
    return false;
  };
  /** Names still lead to it: its process, where it has one, goes on for a while. */
  const held = (copy: CopyRecord): boolean => {
    const until = snapshot.dnsHolds?.get(copy.id);
    if (until === undefined || until <= snapshot.now) return false;
    if (wakeAt === null || until < wakeAt) wakeAt = until;
    return true;
  };
  for (const machine of snapshot.machines.values()) {
    if (machine.state === 'requested' && due(machine))
      effects.push({ kind: 'create-machine', key: machine.id, machine });
    if ((machine.state === 'terminating' || machine.state === 'lost') && due(machine))
      effects.push({ kind: 'destroy-machine', key: machine.id, machine });
    if (machine.state === 'deploying' && due(machine) && !snapshot.contacts.get(machine.id)?.connected)
      effects.push({ kind: 'give-identity', key: machine.id, machine });
  }
  for (const orphan of snapshot.orphans.values()) {
    if (snapshot.machines.has(orphan.machineId) || isStranger(orphan, snapshot)) continue;
    if (due({ nextAttemptAt: orphan.since + snapshot.limits.orphanGraceMs }))
      effects.push({ kind: 'end-orphan', key: `orphan/${orphan.machineId}`, orphan });
  }
  const leaders = new LeadersReady(snapshot);
  for (const copy of snapshot.copies.values()) {
    const machine = snapshot.machines.get(copy.machine);
    const contact = snapshot.contacts.get(copy.machine);
    if (!machine || !contact?.connected || !takesCommands(machine) || held(copy)) continue;
    if (copy.wanted === 'stop') {
      if (due(copy)) effects.push({ kind: 'remove-task', key: copy.id, task: copy.id, copy, machine });
    } else if (isBehind(copy) || isAstray(copy, contact.tasks) || wasLetGo(snapshot, copy)) {
      if (due(copy) && !leaders.awaited(copy)) effects.push({ kind: 'deploy-copy', key: copy.id, copy, machine });
    }
  }
  for (const [id, contact] of snapshot.contacts) {
    const machine = snapshot.machines.get(id);
    if (!machine || !contact.connected || contact.tasks === null || !takesCommands(machine)) continue;
    for (const task of contact.tasks.keys()) {
      if (snapshot.copies.get(task)?.machine !== id && !machine.found?.some((found) => found.id === task))
        effects.push({ kind: 'remove-task', key: task, task, copy: null, machine });
    }
  }
  return { effects, wakeAt };
}

function takesCommands(machine: MachineRecord): boolean {
  return machine.state === 'ready' || machine.state === 'draining';
}

/**
 * The machine reports something else than it was given, and is told again: it lost its memory, or an older command came after the
 * newer one, held up on its way.
 */
function isAstray(copy: CopyRecord, tasks: ReadonlyMap<string, TaskStatus> | null): boolean {
  if (isBehind(copy) || copy.outcome !== null || tasks === null) return false;
  const task = tasks.get(copy.id);
  return task?.version !== copy.version || task.generation !== copy.generation;
}

/** A copy that may not run twice ended itself while its machine was out of touch, and may go on: it was not given up. */
function wasLetGo(snapshot: Linked, copy: CopyRecord): boolean {
  if (!snapshot.jobs.get(copy.job)?.spec.singleton) return false;
  const task = snapshot.contacts.get(copy.machine)?.tasks?.get(copy.id);
  return task?.phase === 'stopped' && task.lastEnd?.reason !== 'user';
}

/**
 * Its machine was not told yet what it is to run now; or a recipe of another version has begun there meanwhile, so that what it runs
 * is as it should be, and what lies beside it may not be.
 */
function isBehind(copy: CopyRecord): boolean {
  const { version, generation, recipeVersion, taskVersion, taskGeneration } = copy;
  return taskVersion !== version || taskGeneration !== generation || recipeVersion !== version;
}
