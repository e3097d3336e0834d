import type { MachineRecord } from '../../model/machine.ts';
import type { WorkingState } from './working-state.ts';

/** Ends what is empty: machines that were drained, and idle ones beyond what the zone may keep (the newest first). */
export function shedMachines(work: WorkingState): void {
  const idleByZone = new Map<string, MachineRecord[]>();
  for (const machine of work.snapshot.machines.values()) {
    const seat = work.seats.get(machine.id);
    if (!seat || seat.copies > 0) continue;
    if (machine.state === 'draining') {
      work.actions.push({
        kind: 'machine-state',
        machine: machine.id,
        to: 'terminating',
        reason: `${machine.reason}; it is empty now`,
      });
    } else if (machine.state === 'requested' && machine.lastError !== null && !isAwaited(work, machine)) {
      const reason = `it could not be had (${machine.lastError}), and nobody waits for it any more`;
      work.actions.push({ kind: 'machine-state', machine: machine.id, to: 'terminating', reason });
    } else if (isIdle(work, machine)) {
      const idle = idleByZone.get(machine.zone);
      if (idle) idle.push(machine);
      else idleByZone.set(machine.zone, [machine]);
    }
  }
  for (const [zone, idle] of idleByZone) {
    const keep = work.snapshot.limits.maxIdle(zone);
    if (keep < 0 || idle.length <= keep) continue;
    idle.sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
    for (const machine of idle.slice(keep)) {
      work.actions.push({
        kind: 'machine-state',
        machine: machine.id,
        to: 'terminating',
        reason: `idle, and ${zone} keeps at most ${keep} idle`,
      });
    }
  }
}

/** Somebody wants it in the place of another that is still there. */
function isAwaited(work: WorkingState, { replaces }: MachineRecord): boolean {
  return replaces !== null && work.snapshot.machines.get(replaces)?.state === 'ready';
}

function isIdle(work: WorkingState, machine: MachineRecord): boolean {
  if (machine.state !== 'ready' || machine.cordoned) return false;
  const { now, emptySince, limits } = work.snapshot;
  const idleFrom = Math.max(emptySince.get(machine.id) ?? now, machine.stateSince) + limits.idleGraceMs;
  if (now >= idleFrom) return true;
  work.wake(idleFrom);
  return false;
}
