import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { CerebroError, messageOf } from '../errors.ts';

const manifest = z.object({ name: z.literal('cerebro'), version: z.string() });

/** A folder with a built Cerebro: an unpacked package, a checkout, an installed npm package. */
export interface Release {
  folder: string;
  version: string;
  /** What Node is to run. */
  main: string;
}

/** Throws `invalid` for a folder in which there is none. */
export function releaseIn(folder: string): Release {
  const main = join(folder, 'dist', 'core', 'main.js');
  let version: string;
  try {
    version = manifest.parse(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))).version;
  } catch (error) {
    const reason = error instanceof z.ZodError ? 'its package.json is that of another program' : messageOf(error);
    throw new CerebroError('invalid', `there is no Cerebro in ${folder}: ${reason}`);
  }
  if (!existsSync(main))
    throw new CerebroError('invalid', `the Cerebro in ${folder} is not built: run "npm ci" there first`);
  // Where it is now: a link that is moved later must not change what runs.
  return { folder, version, main: realpathSync(main) };
}
