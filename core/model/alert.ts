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
  /** When it was over; null: it lasts. */
  resolvedAt: z.number().nullable(),
  /** It has stayed away for long enough to be told as over; the record goes when nobody is `owed` that word. */
  over: z.boolean().default(false),
  /** When notifiers were last to be told of it (ms since the epoch); null: not yet. */
  toldAt: z.number().nullable(),
  /** The notifiers that have not taken it since then, by name. */
  owed: z.array(z.string()).default([]),
});
export type AlertRecord = z.infer<typeof alertRecord>;

/** What people and programs are shown. Times are ISO. */
export const alertView = alertRecord
  .omit({ toldAt: true, owed: true, over: true, resolvedAt: true })
  .extend({ since: z.string(), resolvedAt: z.string().nullable() });
export type AlertView = z.infer<typeof alertView>;
