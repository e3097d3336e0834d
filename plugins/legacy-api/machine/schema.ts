import { z } from 'zod';
import { removal } from '../schema.ts';

export const config = z.strictObject({});

/** `"Portal Server"`, `{"name": "Portal Server"}` or `{"task_name": "Portal Server"}`. */
export const taskName = z.union([
  removal,
  z.strictObject({ task_name: z.string().min(1) }).transform((data) => data.task_name),
]);
