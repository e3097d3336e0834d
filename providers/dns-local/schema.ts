import { isIP } from 'node:net';
import { z } from 'zod';

const address = z.string().refine((text) => isIP(text) === 4, 'expected an IPv4 address of this host, like 127.0.0.1');
const zone = z
  .string()
  .regex(
    /^([a-z0-9_]([a-z0-9_-]*[a-z0-9])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9])?$/,
    'expected a zone in lower case, like startup.com',
  )
  .max(200);

export const config = z.strictObject({
  /** Where it listens, by UDP and TCP. Anything but loopback is answered to whoever can reach it. */
  host: address.default('127.0.0.1'),
  /** 0: any that is free. */
  port: z.number().int().min(0).max(65_535).default(30_053),
  /** The zones that it serves; none: every name that no other provider holds. */
  zones: z.array(zone).default([]),
});
export type Config = z.infer<typeof config>;
