import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Every file under a folder, absolute; none where it is not there. `enters`: whether a folder of that name is looked into. */
export async function filesUnder(folder: string, enters: (name: string) => boolean = () => true): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const found: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isFile()) found.push(path);
    else if (entry.isDirectory() && enters(entry.name)) found.push(...(await filesUnder(path, enters)));
  }
  return found;
}
