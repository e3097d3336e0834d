import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

/**
 * What is in a run's exit file until there is an exit status: as long as any that may come, and blank. The status is written
 * over it, which takes no new block and so also works on a full disk.
 */
export const NO_STATUS = '   \n';

/** The exit status that the shim wrote into a run's folder; undefined while there is none. */
export function readExitFile(path: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch {
    return undefined; // the run never came to life
  }
  const [line = ''] = text.split('\n');
  return /^\d+$/.test(line) && text.includes('\n') ? Number(line) : undefined;
}

const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** How a process ended: with a code, or by a signal. */
export interface Exit {
  code: number | null;
  signal: string | null;
}

/** 128+n is how a shell reports death by signal n. */
export function exitOf(status: number): Exit {
  const signal = status > 128 ? SIGNAL_NAMES.get(status - 128) : undefined;
  return signal === undefined ? { code: status, signal: null } : { code: null, signal };
}
