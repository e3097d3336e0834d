import type { ClusterSnapshot, Orphan } from '../../model/plan.ts';
import type { WorkingState } from './working-state.ts';

type Seen = Pick<ClusterSnapshot, 'strangers' | 'adoptedBelow' | 'machineSerial'>;

/**
 * Whether an instance with our tag was never ordered from this store: its number is one that we have not come to yet. Then the store
 * is younger than the fleet (a fresh one, or one from a backup), and what runs there may be all that somebody has left. An instance
 * whose number we have passed was ours: its record is gone because it was ended, and it came late. Not so below the numbers that an
 * adoption brought: what was away then, and found by nobody, may come back.
 */
export function isStranger(orphan: Orphan, snapshot: Seen): boolean {
  if (snapshot.strangers?.has(orphan.machineId)) return true;
  const { machineId, zone } = orphan;
  const serial = machineId.startsWith(`${zone}-`) ? Number(machineId.slice(zone.length + 1)) : Number.NaN;
  return !(serial < snapshot.machineSerial(zone)) || serial < (snapshot.adoptedBelow?.get(zone) ?? 0);
}

/** Writes down which instances are strangers, for our numbers go on and will pass theirs; and says that they are there. */
export function noteStrangers(work: WorkingState): void {
  const { snapshot } = work;
  for (const orphan of snapshot.orphans.values()) {
    const { machineId, zone, ref } = orphan;
    if (snapshot.machines.has(machineId) || !isStranger(orphan, snapshot)) continue;
    const sentence = `${machineId} (${ref}) bears this cluster's tag and was never ordered from this store; it is left alone`;
    if (!snapshot.strangers?.has(machineId))
      work.actions.push({ kind: 'note-stranger', machine: machineId, ref, reason: sentence });
    work.complain({ machine: machineId, zone }, `${sentence}: cerebro adopt takes it over`, `stranger/${zone}`);
  }
}
