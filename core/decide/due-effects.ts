import type { CopyRecord } from '../model/copy.ts';
import type { MachineRecord } from '../model/machine.ts';
import type { ClusterSnapshot } from '../model/plan.ts';

/**
 * Something to be done in the world because the records say so. Each is idempotent: after a crash the same records ask for it again.
 * `key` names what it works on; two effects of one key never run at once.
 */
export type Effect =
  | { kind: 'create-machine'; key: string; machine: MachineRecord }
  | { kind: 'destroy-machine'; key: string; machine: MachineRecord }
  | { kind: 'deploy-copy'; key: string; copy: CopyRecord; machine: MachineRecord }
  /** `copy` is null for a task that the machine has and the records do not know: a machine that came back is told so. */
  | { kind: 'remove-task'; key: string; task: string; copy: CopyRecord | null; machine: MachineRecord };

/** What the records ask for at this moment, and when (without news) they will ask for more. */
export function dueEffects(snapshot: Pick<ClusterSnapshot, 'now' | 'machines' | 'copies' | 'contacts' | 'dnsHolds'>): {
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
  }
  for (const copy of snapshot.copies.values()) {
    const machine = snapshot.machines.get(copy.machine);
    const contact = snapshot.contacts.get(copy.machine);
    if (!machine || !contact?.connected || !takesCommands(machine) || held(copy)) continue;
    if (copy.wanted === 'stop') {
      if (due(copy)) effects.push({ kind: 'remove-task', key: copy.id, task: copy.id, copy, machine });
    } else if (copy.taskVersion !== copy.version || isMissing(copy, contact.tasks)) {
      if (due(copy)) effects.push({ kind: 'deploy-copy', key: copy.id, copy, machine });
    }
  }
  for (const [id, contact] of snapshot.contacts) {
    const machine = snapshot.machines.get(id);
    if (!machine || !contact.connected || contact.tasks === null || !takesCommands(machine)) continue;
    for (const task of contact.tasks.keys()) {
      if (snapshot.copies.get(task)?.machine !== id)
        effects.push({ kind: 'remove-task', key: task, task, copy: null, machine });
    }
  }
  return { effects, wakeAt };
}

function takesCommands(machine: MachineRecord): boolean {
  return machine.state === 'ready' || machine.state === 'draining';
}

/** The machine has reported, and knows nothing of a task that it was given: it lost its memory and is told again. */
function isMissing(copy: CopyRecord, tasks: ReadonlyMap<string, unknown> | null): boolean {
  return copy.taskVersion === copy.version && tasks !== null && !tasks.has(copy.id);
}
