import { isOver } from '../../decide/plan/is-over.ts';
import { HOSTING_STATES } from '../../model/machine.ts';
import type { ClusterSnapshot, MachineContact, MachineType, Orphan } from '../../model/plan.ts';
import type { Settings } from '../../model/settings.ts';
import type { ClusterRecords } from './cluster-records.ts';

/** Since when each machine has had no copies: what the planner needs to know and no record says. */
export class EmptyMachines {
  readonly since = new Map<string, number>();

  update(records: ClusterRecords, contacts: SnapshotParts['contacts'], now: number): void {
    const used = new Set<string>();
    const seen = { jobs: records.jobs, contacts };
    for (const copy of records.copies.values()) if (!isOver(seen, copy)) used.add(copy.machine);
    for (const machine of records.machines.values()) {
      if (used.has(machine.id) || !HOSTING_STATES.has(machine.state)) this.since.delete(machine.id);
      else if (!this.since.has(machine.id)) this.since.set(machine.id, now);
    }
    for (const id of this.since.keys()) if (!records.machines.has(id)) this.since.delete(id);
  }
}

export interface SnapshotParts {
  records: ClusterRecords;
  contacts: ReadonlyMap<string, MachineContact>;
  empty: EmptyMachines;
  orphans: ReadonlyMap<string, Orphan>;
  soldOut: ReadonlyMap<string, number>;
  types(zone: string): readonly MachineType[];
  complaint(zone: string): string | null;
  settings: Settings;
  startedAt: number;
}

/** Everything that a plan is made from, as it is now. It looks at the live records: plan from it at once, and do not keep it. */
export function snapshotOf(parts: SnapshotParts, now: number): ClusterSnapshot {
  const { records, settings } = parts;
  parts.empty.update(records, parts.contacts, now);
  return {
    now,
    startedAt: parts.startedAt,
    jobs: records.jobs,
    machines: records.machines,
    copies: records.copies,
    contacts: parts.contacts,
    emptySince: parts.empty.since,
    orphans: parts.orphans,
    strangers: records.strangers,
    adoptedBelow: records.adoptedBelow,
    soldOut: parts.soldOut,
    types: parts.types,
    complaint: parts.complaint,
    machineSerial: (zone) => records.serials.get(zone) ?? 1,
    limits: {
      maxIdle: (zone) =>
        records.runtime.maxIdlePerZone[zone] ?? records.runtime.maxIdlePerZone['*'] ?? settings.max_idle_per_zone,
      idleGraceMs: settings.idle_grace * 1000,
      suspectAfterMs: settings.suspect_after * 1000,
      unreachableAfterMs: settings.unreachable_after * 1000,
      lostAfterMs: settings.lost_after * 1000,
      replaceBrake: settings.replace_brake,
      startupGraceMs: settings.startup_grace * 1000,
      bootDeadlineMs: settings.boot_deadline * 1000,
      orphanGraceMs: settings.orphan_grace * 1000,
      maxMachines: (zone) => ofZone(settings.max_machines, zone),
      maxSpend: (zone) => ofZone(settings.spend_ceiling, zone),
    },
  };
}

/** A limit that is said for a zone, or else for all (`*`), or else not at all. */
function ofZone(limits: Readonly<Record<string, number>>, zone: string): number {
  return limits[zone] ?? limits['*'] ?? Number.POSITIVE_INFINITY;
}
