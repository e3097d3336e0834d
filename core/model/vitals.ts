import { z } from 'zod';
import { taskPhase } from './task.ts';

const share = z.number();

/** The share of the last ten seconds in which something waited, 0 to 1: `some` of the processes, or all of them (`full`). */
export const pressure = z.object({ some: share, full: share });
export type Pressure = z.infer<typeof pressure>;

/** How a whole host is doing: rates are averages since the reading before. */
export const hostVitals = z.object({
  at: z.string(),
  /** Seconds that the averages span. */
  seconds: z.number(),
  uptimeSeconds: z.number(),
  cpu: z.object({
    cores: z.number().int(),
    /** Cores in use, of all `cores`. */
    used: z.number(),
    /** How busy each core was, 0 to 1. */
    perCore: z.array(share),
    /** The shares of all cores that waited for a disk, and that the hypervisor gave to others. */
    waiting: share,
    stolen: share,
  }),
  /** Bytes. `used` is what could not be had without swapping: page cache that gives way is not in it. */
  memory: z.object({
    totalBytes: z.number(),
    usedBytes: z.number(),
    availableBytes: z.number(),
    swapTotalBytes: z.number(),
    swapUsedBytes: z.number(),
  }),
  load: z.object({ one: z.number(), five: z.number(), fifteen: z.number() }),
  /** Of the file system that holds the data folder, in bytes; `available` is without what is kept for root. */
  disk: z.object({ totalBytes: z.number(), usedBytes: z.number(), availableBytes: z.number() }),
  /** Bytes a second over all interfaces but loopback. */
  network: z.object({ receivedRate: z.number(), sentRate: z.number() }),
  /** null: this kernel does not measure it (CONFIG_PSI, psi=1). */
  pressure: z.object({ cpu: pressure, memory: pressure, io: pressure }).nullable(),
});
export type HostVitals = z.infer<typeof hostVitals>;

/** What one task takes. */
export const taskVitals = z.object({
  id: z.string(),
  job: z.string(),
  phase: taskPhase,
  restarts: z.number().int(),
  /** Cores. */
  cpu: z.number().nullable(),
  memBytes: z.number().nullable(),
  processes: z.number().int().nullable(),
  /** The share of the time for which its cpu limit held it back, 0 to 1. */
  throttled: share.nullable(),
  /** Bytes a second from and to disks; null: not known here. */
  readRate: z.number().nullable(),
  writeRate: z.number().nullable(),
});
export type TaskVitals = z.infer<typeof taskVitals>;

export const machineVitals = z.object({ host: hostVitals, tasks: z.array(taskVitals) });
export type MachineVitals = z.infer<typeof machineVitals>;
