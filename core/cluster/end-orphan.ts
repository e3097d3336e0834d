import type { NewEvent } from '../model/event.ts';
import type { Orphan } from '../model/plan.ts';
import type { ExecutorDeps } from './executor.ts';

/** Ends an instance that bears our tag and whose record is gone. `demand` throws where we do not surely lead. */
export async function endOrphan(
  deps: Pick<ExecutorDeps, 'records' | 'providers' | 'onOrphanEnded'>,
  orphan: Orphan,
  demand: () => void,
): Promise<void> {
  const { records, providers, onOrphanEnded } = deps;
  if (records.machines.has(orphan.machineId)) return;
  demand();
  await providers.get(orphan.provider)?.destroy(records.clusterId, orphan.machineId);
  onOrphanEnded(orphan.machineId);
  const message = `${orphan.ref} in ${orphan.zone} bore this cluster's tag as ${orphan.machineId}, which no record knows: it was ended`;
  const event: NewEvent = { level: 'warn', kind: 'orphan-ended', message, machine: orphan.machineId };
  await records.transact(() => ({ write: [], events: [event] }));
}
