import { z } from 'zod';

export const historySpan = z.enum(['hour', 'day']);
export type HistorySpan = z.infer<typeof historySpan>;

/** How long each span is kept, and how far apart its points are. */
export const HISTORY_SPANS: Record<HistorySpan, { stepSeconds: number; points: number }> = {
  hour: { stepSeconds: 5, points: 720 },
  day: { stepSeconds: 60, points: 1440 },
};

/** What is kept of a machine: cores, bytes, processes that want to run, bytes a second, and shares of the time (0 to 1). */
export const MACHINE_SERIES = [
  'cpu',
  'memBytes',
  'load',
  'diskBytes',
  'receivedRate',
  'sentRate',
  'cpuPressure',
  'memPressure',
  'ioPressure',
] as const;

/** What is kept of a task: cores, bytes, processes, the share of the time in which it was held back, bytes a second, restarts so far. */
export const TASK_SERIES = ['cpu', 'memBytes', 'processes', 'throttled', 'readRate', 'writeRate', 'restarts'] as const;

/** Whose history is asked for: `machine`, or a task by its id. `task:ID` is always a task, also one that is called "machine". */
export const MACHINE_SUBJECT = 'machine';
export const TASK_PREFIX = 'task:';

/** The task that is asked for; null: the machine itself. */
export function taskOfSubject(of: string): string | null {
  if (of === MACHINE_SUBJECT) return null;
  return of.startsWith(TASK_PREFIX) ? of.slice(TASK_PREFIX.length) : of;
}

/** The past of a machine or a task: all series have the same points, oldest first; null where nothing is known. */
export const history = z.object({
  of: z.string(),
  span: historySpan,
  /** The time of the first point; each is the average of the `stepSeconds` that begin there. */
  from: z.string(),
  stepSeconds: z.number(),
  series: z.record(z.string(), z.array(z.number().nullable())),
});
export type History = z.infer<typeof history>;
