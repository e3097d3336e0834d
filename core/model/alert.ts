import { z } from 'zod';

/** Something that a person should know of for as long as it lasts. `key` names what it is about: one key is one story. */
export const alertRecord = z.object({
  key: z.string(),
  level: z.enum(['warn', 'error']),
  /** The newest sentence about it. */
  sentence: z.string(),
  job: z.string().optional(),
  machine: z.string().optional(),
  copy: z.string().optional(),
  /** ms since the epoch. */
  since: z.number(),
  /** When it was over; null: it lasts. The record goes when people have been told. */
  resolvedAt: z.number().nullable(),
  /** When notifiers were last told of it (ms since the epoch); null: not yet. */
  toldAt: z.number().nullable(),
});
export type AlertRecord = z.infer<typeof alertRecord>;

/** What people and programs are shown. Times are ISO. */
export const alertView = alertRecord
  .omit({ toldAt: true, resolvedAt: true })
  .extend({ since: z.string(), resolvedAt: z.string().nullable() });
export type AlertView = z.infer<typeof alertView>;
