import { z } from 'zod';

export const config = z.strictObject({});

const name = z.string().min(1);
/** `"Portal Server"` or `{"name": "Portal Server"}`; either way the name comes out. */
export const removal = z.union([name, z.strictObject({ name }).transform((data) => data.name)]);

const limit = z.number().int().min(-1);
const zone = z.string().min(1).nullable().default(null);
/** `2`, `{"idle_limit": 2}` or `{"limit": 2, "zone": "aws-us-west-2a"}`; without a zone it is the limit of each. */
export const idleLimit = z.union([
  limit.transform((limit) => ({ limit, zone: null })),
  z.strictObject({ idle_limit: limit, zone }).transform((data) => ({ limit: data.idle_limit, zone: data.zone })),
  z.strictObject({ limit, zone }),
]);

/** What Python's logging calls its levels, beside our own names. */
const LEVELS: ReadonlyMap<string, string> = new Map([
  ['trace', 'trace'],
  ['debug', 'debug'],
  ['info', 'info'],
  ['warn', 'warn'],
  ['warning', 'warn'],
  ['error', 'error'],
  ['critical', 'error'],
]);
const level = z
  .string()
  .transform((text) => LEVELS.get(text.toLowerCase()))
  .pipe(z.string());
/** `"DEBUG"` or `{"level": "DEBUG"}`, in capitals or not; one of our own levels comes out. */
export const logLevel = z.union([level, z.strictObject({ level }).transform((data) => data.level)]);
