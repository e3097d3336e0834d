import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import type { RunOptions } from '../../core/contracts/remote.ts';
import { CerebroError, messageOf } from '../../core/errors.ts';
import { counted } from './counted.ts';

/** Small pieces cost a large file a third more of our time. */
export const READ_BYTES = 1024 * 1024;

/** A local file as a command's standard input. Throws `invalid` for one that cannot be read, before anything is started. */
export async function fileInput(path: string, { onInput }: Pick<RunOptions, 'onInput'>): Promise<Readable> {
  let size: number;
  try {
    size = (await stat(path)).size;
  } catch (error) {
    throw new CerebroError('invalid', `the file ${path} cannot be read here: ${messageOf(error)}`, { cause: error });
  }
  return counted(createReadStream(path, { highWaterMark: READ_BYTES }), size, onInput);
}

/**
 * Gives a command its standard input. Where that breaks off, the command finds its end, and too little; and where the command ends
 * first, the rest is let go.
 */
export function feed(command: Writable, input: Readable): void {
  input.once('close', () => command.end());
  command.once('close', () => input.destroy());
  input.pipe(command);
}
