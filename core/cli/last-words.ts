import { readFileSync } from 'node:fs';

/** The file in the data folder that takes what a daemon in the background has to say. */
export const LOG_FILE = 'cerebro.log';

/**
 * What a daemon in the background said to people last, of what stands in its log from a byte on: what others before it said is another
 * story. The log itself is in JSON, and where an error was thrown helps nobody here.
 */
export function lastWords(logFile: string, from: number): string {
  const lines = readFileSync(logFile).subarray(from).toString('utf8').split('\n');
  return lines.findLast((line) => /^[^{\s]/.test(line) && !line.startsWith('Node.js v')) ?? 'it said nothing';
}
