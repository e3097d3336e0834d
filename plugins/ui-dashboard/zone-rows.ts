import type { MachineView } from '../../core/contracts/cluster-api.ts';
import { statesOf, troubleFirst } from './copy-order.ts';

export interface ZoneRow {
  name: string;
  machines: number;
  copies: number;
  /** How many are in each state, the most first. */
  states: { state: string; count: number }[];
  cpu: MachineView['cpu'];
  mem: MachineView['mem'];
  /** Those that are shown one by one. */
  shown: MachineView[];
}

/** So many machines are shown one by one; of more, each zone shows only what is not ready, and not much of that. */
const SHOWN_MACHINES = 20;
const SHOWN_OF_ZONE = 3;

/** The zones by name, with what all their machines together offer. */
export function zoneRows(machines: readonly MachineView[]): ZoneRow[] {
  const zones = new Map<string, MachineView[]>();
  for (const machine of machines) {
    const list = zones.get(machine.zone);
    if (list) list.push(machine);
    else zones.set(machine.zone, [machine]);
  }
  const all = machines.length <= SHOWN_MACHINES;
  return [...zones]
    .map(([name, list]) => ({
      name,
      machines: list.length,
      copies: list.reduce((sum, machine) => sum + machine.copies.length, 0),
      states: statesOf(list),
      cpu: together(list.map((machine) => machine.cpu)),
      mem: together(list.map((machine) => machine.mem)),
      shown: (all ? list : list.filter(({ state }) => state !== 'ready').slice(0, SHOWN_OF_ZONE)).map((machine) => ({
        ...machine,
        copies: troubleFirst(machine.copies),
      })),
    }))
    .sort((a, b) => a.name.localeCompare(b.name));
}

/** What is used is the sum of what is known; null where nothing is. */
function together(amounts: readonly MachineView['cpu'][]): MachineView['cpu'] {
  const sum = { offered: 0, reserved: 0, used: null as number | null };
  for (const { offered, reserved, used } of amounts) {
    sum.offered += offered;
    sum.reserved += reserved;
    if (used !== null) sum.used = (sum.used ?? 0) + used;
  }
  return sum;
}
