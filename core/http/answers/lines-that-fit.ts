import { setImmediate as nextTurn } from 'node:timers/promises';
import type { LinePattern } from '../../decide/read/line-pattern.ts';
import type { LogLine } from '../../machine/task/log-lines.ts';

/** Whoever waits meanwhile (supervision, other callers) has a turn after so long. */
const TURN_MS = 10;

/** Those of `lines` that fit `pattern`; stops early when `signal` aborts. */
export async function linesThatFit(
  lines: readonly LogLine[],
  pattern: LinePattern,
  signal: AbortSignal,
): Promise<LogLine[]> {
  const fitting: LogLine[] = [];
  let since = performance.now();
  for (const line of lines) {
    const search = pattern(line.bytes.toString('utf8'));
    for (let { done, value } = search.next(); ; { done, value } = search.next()) {
      if (done && value) fitting.push(line);
      if (performance.now() - since >= TURN_MS) {
        await nextTurn();
        if (signal.aborted) return fitting;
        since = performance.now();
      }
      if (done) break;
    }
  }
  return fitting;
}
