import { z } from 'zod';

const flag = z
  .enum(['', '0', '1', 'true', 'false'])
  .default('0')
  .transform((text) => text === '' || text === '1' || text === 'true');
const count = z
  .string()
  .regex(/^\d{1,15}$/, 'a whole number')
  .transform(Number);

const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `15m` is a time ago, anything else a time of day and year; either as it was written. */
const since = z
  .string()
  .max(40)
  .refine(
    (text) => /^\d{1,9}[smhd]$/.test(text) || !Number.isNaN(Date.parse(text)),
    'expected a time, like 2026-05-04T12:00:00Z, or how long ago, like 90s, 15m, 2h or 1d',
  );

/** The query of a log of one stream: what `cerebro task` serves. */
export const logQuery = z.strictObject({
  stream: z.enum(['stdout', 'stderr']).default('stdout'),
  /** The number of a run; absent: the newest. */
  run: count.optional(),
  /** Only the last so many lines. */
  tail: count.optional(),
  /** Byte to begin at; wins over `tail`. */
  offset: count.optional(),
  follow: flag,
});
export type LogQuery = z.infer<typeof logQuery>;

/** The query of `/logs/:task`, on a machine sitter and on a cluster sitter. */
export const taskLogQuery = logQuery.extend({
  /** `both`: standard output and error, merged by the time at which they were written. */
  stream: z.enum(['stdout', 'stderr', 'both']).default('stdout'),
  /** Only lines with this text, or that fit this expression: `/…/` or `/…/i`. */
  grep: z.string().min(1).max(1000).optional(),
  since: since.optional(),
  /** As a file to be kept. */
  download: flag,
});
export type TaskLogQuery = z.infer<typeof taskLogQuery>;

/** On a cluster sitter: which copy, where the job has several. */
export const clusterLogQuery = taskLogQuery.extend({ machine: z.string().optional(), copy: z.string().optional() });

/** A checked `since` as milliseconds since the epoch. */
export function sinceMs(text: string, now: number): number {
  const ago = /^(\d+)([smhd])$/.exec(text);
  return ago ? now - Number(ago[1]) * (UNIT_MS[ago[2] ?? ''] ?? 0) : Date.parse(text);
}
