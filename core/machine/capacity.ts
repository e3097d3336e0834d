import { availableParallelism, totalmem } from 'node:os';
import { CerebroError } from '../errors.ts';
import type { MachineCapacity, Room } from '../model/capacity.ts';
import type { Settings } from '../model/settings.ts';
import type { TaskDefinition } from '../model/task.ts';

const MB = 1024 * 1024;

/** What a task reserves here: the cpu and memory that its definition names. What names neither takes what is left over. */
export function reservationOfTask({ configuration }: TaskDefinition): Room {
  return { cpu: configuration.cpu ?? 0, mem: configuration.mem ?? 0 };
}

/** What this machine offers to tasks: as declared in the settings, or else all that the host has, less the system's reserve. */
export function offeredRoom(
  settings: Pick<Settings, 'capacity_cpu' | 'capacity_mem' | 'reserve_cpu' | 'reserve_mem'>,
  host: Room = hostRoom(),
): Room {
  return {
    cpu: settings.capacity_cpu ?? Math.max(0, host.cpu - settings.reserve_cpu),
    mem: settings.capacity_mem ?? Math.max(0, Math.floor(host.mem - settings.reserve_mem)),
  };
}

function hostRoom(): Room {
  // In a container the kernel's limit is what there is; without one, Node says 0 or a number beyond all memory.
  const limit = process.constrainedMemory();
  const bytes = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  return { cpu: availableParallelism(), mem: bytes / MB };
}

/** What is offered and what of it is reserved by tasks that run, or are to run. */
export function capacityOf(offered: Room, running: Iterable<TaskDefinition>): MachineCapacity {
  const reserved = { cpu: 0, mem: 0 };
  for (const definition of running) {
    const { cpu, mem } = reservationOfTask(definition);
    reserved.cpu += cpu;
    reserved.mem += mem;
  }
  return {
    cpu: { offered: offered.cpu, reserved: rounded(reserved.cpu) },
    mem: { offered: offered.mem, reserved: rounded(reserved.mem) },
  };
}

/** Throws `conflict` with the numbers when a task does not fit beside `others`. */
export function checkFits(offered: Room, definition: TaskDefinition, others: Iterable<TaskDefinition>): void {
  const wanted = reservationOfTask(definition);
  const { cpu, mem } = capacityOf(offered, others);
  const short = [
    ...(wanted.cpu > 0 && rounded(wanted.cpu + cpu.reserved) > cpu.offered
      ? [`${wanted.cpu} cores, and ${left(cpu)} of ${cpu.offered} are free`]
      : []),
    ...(wanted.mem > 0 && rounded(wanted.mem + mem.reserved) > mem.offered
      ? [`${wanted.mem} MB of memory, and ${left(mem)} of ${mem.offered} MB are free`]
      : []),
  ];
  if (short.length === 0) return;
  throw new CerebroError(
    'conflict',
    `"${definition.id}" does not fit on this machine: it reserves ${short.join('; it reserves ')}. Stop something, ask for less, or declare more with capacity_cpu and capacity_mem`,
    { details: { wanted, cpu, mem } },
  );
}

function left({ offered, reserved }: { offered: number; reserved: number }): number {
  return Math.max(0, rounded(offered - reserved));
}

/** Sums of tenths are tenths again: .1 + .2 fits into .3. */
function rounded(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}
