import type { TaskUsage } from '../../model/task.ts';
import type { HostVitals } from '../../model/vitals.ts';

const MB = 1024 * 1024;
/** A host with this much more than was ordered is not the machine alone: it is shared with others. */
const SHARED_FACTOR = 1.5;

/** What the provider sold: cores and MB. */
export interface Offered {
  cpu: number;
  mem: number;
}

/**
 * Cores and MB in use on a machine. Where it has a host of its own, that is what the host says, system and all. A machine that
 * is a part of a bigger host (as those of the local provider are) uses what its tasks use. null: nothing is known yet.
 */
export function machineUse(
  offered: Offered,
  host: HostVitals | null,
  tasks: readonly TaskUsage[] | null,
): { cpu: number | null; mem: number | null } {
  if (host && !isShared(offered, host))
    return { cpu: rounded(host.cpu.used), mem: Math.round(host.memory.usedBytes / MB) };
  if (!tasks) return { cpu: null, mem: null };
  return {
    cpu: rounded(tasks.reduce((sum, usage) => sum + usage.cpu, 0)),
    mem: Math.round(tasks.reduce((sum, usage) => sum + usage.memBytes, 0) / MB),
  };
}

function isShared(offered: Offered, host: HostVitals): boolean {
  return host.cpu.cores > offered.cpu * SHARED_FACTOR || host.memory.totalBytes / MB > offered.mem * SHARED_FACTOR;
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
