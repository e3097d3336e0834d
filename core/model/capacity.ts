import { z } from 'zod';

/** Cores, and MB of 1024*1024. */
export interface Room {
  cpu: number;
  mem: number;
}

const share = z.object({ offered: z.number(), reserved: z.number() });

/** What a machine offers to tasks and what of it is reserved. `cpu` in cores, `mem` in MB of 1024*1024. */
export const machineCapacity = z.object({ cpu: share, mem: share });
export type MachineCapacity = z.infer<typeof machineCapacity>;
