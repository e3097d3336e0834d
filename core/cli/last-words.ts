import { readFileSync } from 'node:fs';

/** How a sentence to people begins in the log. */
const SAID = 'cerebro: ';

/** The file in the data folder that takes what a daemon in the background has to say. */
export const LOG_FILE = 'cerebro.log';

/**
 * What a daemon in the background said to people last, of what stands in its log from a byte on: what others before it said is another
 * story. The log itself is in JSON, and where an error was thrown helps nobody here.
 */
export function lastWords(logFile: string, from: number): string {
  const lines = readFileSync(logFile).subarray(from).toString('utf8').split('\n');
  const words = lines.filter((line) => line !== '' && !/^(\{|Node\.js v|\s+at )/.test(line));
  // What is said to people may have several lines, and begins with whose word it is.
  const said = words.findLastIndex((line) => line.startsWith(SAID));
  if (said >= 0) return words.slice(said).join('\n').slice(SAID.length);
  return words.findLast((line) => /^\S/.test(line)) ?? 'it said nothing';
}
