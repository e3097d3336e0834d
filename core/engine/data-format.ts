import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CerebroError, messageOf, systemCode } from '../errors.ts';

/**
 * The form of the files in a data folder. It grows when a program before could not read them any more; what is only added,
 * and may be left out, needs no new one. Whoever lets it grow has to write the new form only once the daemon is up (it is noted by
 * then): one that does not come up is taken out again, and the program before starts on these files.
 */
export const DATA_FORMAT = 1;

const FORMAT_FILE = 'format';

/** Throws `unsupported` for a folder of a newer program: with what this one does not know it could only do harm. */
export function checkFormat(folder: string): void {
  const found = formatOf(folder);
  if (found > DATA_FORMAT)
    throw new CerebroError(
      'unsupported',
      `the files in ${folder} are of form ${found}, and this program knows form ${DATA_FORMAT}: start the newer Cerebro that wrote them`,
    );
}

/** Puts down of which form the files are from now on, for a daemon that is up. A disk that is full keeps no daemon from its tasks. */
export function noteFormat(folder: string): void {
  if (formatOf(folder) === DATA_FORMAT) return;
  try {
    writeFileSync(join(folder, FORMAT_FILE), `${DATA_FORMAT}\n`, { mode: 0o600 });
  } catch (error) {
    if (!['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? ''))
      throw new CerebroError('unavailable', `the data folder ${folder} cannot be written: ${messageOf(error)}`);
  }
}

/** 0: nobody has said. What a crash left of the file says nothing either. */
function formatOf(folder: string): number {
  try {
    const text = readFileSync(join(folder, FORMAT_FILE), 'utf8').trim();
    return /^\d{1,9}$/.test(text) ? Number(text) : 0;
  } catch {
    return 0;
  }
}
