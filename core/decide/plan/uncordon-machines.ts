import type { WorkingState } from './working-state.ts';

/**
 * Lets machines have copies again that were only waiting for a successor which will not come: it was lost before it was ready, or its
 * order was withdrawn. To order another is for people to say: what kept the first from coming may keep every other, and each costs.
 */
export function uncordonMachines(work: WorkingState): void {
  const { machines } = work.snapshot;
  const lostNow = new Set(work.lost.map(({ id }) => id));
  for (const machine of machines.values()) {
    if (machine.cordonedFor === undefined || machine.state !== 'ready') continue;
    const successor = machines.get(machine.cordonedFor);
    const isGone =
      !successor ||
      successor.state === 'lost' ||
      successor.state === 'terminating' ||
      lostNow.has(successor.id) ||
      work.withdrawn.has(successor.id);
    if (!isGone) continue;
    const reason = `it is not replaced after all, since ${machine.cordonedFor} did not come; to order another: cerebro replace ${machine.id}`;
    work.actions.push({ kind: 'uncordon', machine: machine.id, reason });
  }
}
