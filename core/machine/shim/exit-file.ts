import { readFileSync } from 'node:fs';

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
