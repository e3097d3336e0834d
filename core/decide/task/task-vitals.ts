import type { TaskStatus } from '../../model/task.ts';
import type { TaskVitals } from '../../model/vitals.ts';

/** The counters of a task's run at one moment. */
export interface TaskReading {
  run: number;
  monotonicMs: number;
  throttledSeconds: number;
  readBytes: number | null;
  writtenBytes: number | null;
}

/** undefined: nothing of it runs, or it was not measured yet. */
export function taskReading(status: TaskStatus, monotonicMs: number): TaskReading | undefined {
  const { usage, run } = status;
  if (!usage) return undefined;
  const { throttledSeconds, readBytes, writtenBytes } = usage;
  return { run, monotonicMs, throttledSeconds, readBytes, writtenBytes };
}

/** What a task takes now; rates since `before`, if that was of the same run. */
export function taskVitalsOf(
  status: TaskStatus,
  before: TaskReading | undefined,
  now: TaskReading | undefined,
): TaskVitals {
  const { id, job, phase, restarts, usage } = status;
  const since = before && now && before.run === now.run ? before : undefined;
  const seconds = since && now ? (now.monotonicMs - since.monotonicMs) / 1000 : 0;
  const rate = (from: number | null | undefined, to: number | null | undefined): number | null =>
    seconds <= 0 || from === null || from === undefined || to === null || to === undefined
      ? null
      : Math.max(0, to - from) / seconds;
  const throttled = rate(since?.throttledSeconds, now?.throttledSeconds);
  const readRate = rate(since?.readBytes, now?.readBytes);
  const writeRate = rate(since?.writtenBytes, now?.writtenBytes);
  return {
    id,
    job,
    phase,
    restarts,
    cpu: usage?.cpu ?? null,
    memBytes: usage?.memBytes ?? null,
    processes: usage?.processes ?? null,
    throttled: throttled === null ? null : Math.min(1, Math.round(throttled * 1000) / 1000),
    readRate: readRate === null ? null : Math.round(readRate),
    writeRate: writeRate === null ? null : Math.round(writeRate),
  };
}
