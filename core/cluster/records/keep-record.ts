import type { z } from 'zod';
import { CerebroError } from '../../errors.ts';

/** Takes one record of the store into its map, or (null) out of it. Throws `internal` for one that cannot be read. */
export function keep<T>(map: Map<string, T>, id: string, value: unknown, schema: z.ZodType<T>, key: string): void {
  if (value === null) {
    map.delete(id);
    return;
  }
  const result = schema.safeParse(value);
  if (!result.success)
    throw new CerebroError('internal', `the record ${key} in the store cannot be read: ${result.error.message}`);
  map.set(id, result.data);
}
