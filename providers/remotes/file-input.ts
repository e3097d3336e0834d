import { type FileHandle, open } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import type { RunOptions } from '../../core/contracts/remote.ts';
import { CerebroError, messageOf } from '../../core/errors.ts';
import { counted } from './counted.ts';

/** Small pieces cost a large file a third more of our time. */
export const READ_BYTES = 1024 * 1024;

/**
 * A local file as a command's standard input. Throws `invalid` for one that cannot be read, before anything is started. Whoever does not
 * `feed` it destroys it.
 */
export async function fileInput(path: string, { onInput }: Pick<RunOptions, 'onInput'>): Promise<Readable> {
  const { file, size } = await opened(path);
  return counted(file.createReadStream({ highWaterMark: READ_BYTES }), size, onInput);
}

async function opened(path: string): Promise<{ file: FileHandle; size: number }> {
  let file: FileHandle | null = null;
  try {
    file = await open(path);
    const stat = await file.stat();
    if (stat.isFile()) return { file, size: stat.size };
    throw new Error('it is no file');
  } catch (error) {
    await file?.close();
    throw new CerebroError('invalid', `the file ${path} cannot be read here: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * Gives a command its standard input. Where that breaks off, the command finds its end, and too little; and where the command ends
 * first, the rest is let go.
 */
export function feed(command: Writable, input: Readable): void {
  if (input.destroyed) {
    command.end(); // it broke off before
    return;
  }
  input.once('close', () => command.end());
  command.once('close', () => input.destroy());
  input.pipe(command);
}
