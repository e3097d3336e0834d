import type { MachineRecord } from '../model/machine.ts';
import type { ClusterSnapshot, Complaint } from '../model/plan.ts';
import { healthOf, lostAt } from './plan/judge-machines.ts';
import { clockTime } from './words/progress-sentence.ts';

/**
 * What comes next for a machine that does not serve as it should, in words that follow its reason: when, and by whose hand where it is
 * not ours. null: it serves, or its reason or a complaint has said it. `copies`: how many it has.
 */
export function machineNext(
  machine: MachineRecord,
  copies: number,
  snapshot: ClusterSnapshot,
  complaints: readonly Complaint[],
): string | null {
  const { id } = machine;
  if (complaints.some(({ about }) => about.machine === id)) return null;
  const isServing = machine.state === 'ready' || machine.state === 'draining';
  if (isServing && healthOf(machine, snapshot) !== 'ok')
    return `it is given up at ${clockTime(lostAt(machine, snapshot))} if it is silent until then`;
  switch (machine.state) {
    case 'requested':
      return machine.lastError === null ? 'its provider has been asked for it' : null;
    case 'booting': {
      const deadline = Math.max(machine.createdAt, machine.stateSince) + snapshot.limits.bootDeadlineMs;
      return `it is given up if its sitter does not answer by ${clockTime(deadline)}`;
    }
    case 'deploying':
      return `it is ready when its sitter answers with the certificate of this cluster`;
    case 'ready':
      if (machine.cordonedFor !== undefined)
        return `it is emptied when ${machine.cordonedFor}, which replaces it, is ready`;
      return machine.cordoned ? `it is given no more copies until: cerebro cordon ${id} --off` : null;
    case 'draining': {
      const until =
        machine.drainUntil === null ? '' : `, and at ${clockTime(machine.drainUntil, snapshot.now)} at the latest`;
      const left = copies === 1 ? 'its copy is' : `its ${copies} copies are`;
      return copies === 0 ? 'it is ended now' : `it is ended when ${left} ready elsewhere${until}`;
    }
    case 'terminating':
      return machine.lastError === null ? 'it is forgotten when its provider has ended it' : null;
    case 'lost':
      return 'its provider is asked to end it until it has; should it come back, it is wiped';
  }
}
