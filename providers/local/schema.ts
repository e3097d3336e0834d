import { z } from 'zod';

const machineType = z.strictObject({
  name: z.string().min(1),
  /** Cores and MB that a machine of this type offers. They are declared, not taken from this host. */
  cpu: z.number().positive(),
  mem: z.number().positive(),
  price: z.number().min(0).optional(),
});

export const config = z.strictObject({
  /** Where the machines are; cluster sitters of one host that share it have the same ones. Absent: `machines` in the data folder. */
  folder: z.string().startsWith('/', 'expected an absolute path').optional(),
  /** Zones are called local-NAME. */
  zones: z.array(z.string().regex(/^[a-z0-9]+$/)).default(['a', 'b', 'c']),
  machine_types: z
    .array(machineType)
    .min(1)
    .default([
      { name: 'local.small', cpu: 2, mem: 2048 },
      { name: 'local.large', cpu: 8, mem: 16_384 },
    ]),
  /** Each machine has an address of its own in 127.0.0.0/8, in CEREBRO_ADDRESS of its tasks; else all have 127.0.0.1. */
  own_addresses: z.boolean().default(false),
  /** A sitter that dies more often than this in a minute is given up, as a machine that does not stay up would be. */
  max_restarts_per_minute: z.number().int().min(0).default(6),
});
export type Config = z.infer<typeof config>;
