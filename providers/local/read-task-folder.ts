import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { foundTaskFile } from '../../core/model/adoption.ts';
import type { TaskDefinition } from '../../core/model/task.ts';

/** The tasks that a machine sitter keeps in its folder of tasks, without asking it. Throws what is wrong with a file. */
export function readTaskFolder(folder: string): TaskDefinition[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map((name) => join(folder, name, 'task.json'))
    .filter((path) => !path.includes('/.removed-') && existsSync(path))
    .map((path) => foundTaskFile.parse(JSON.parse(readFileSync(path, 'utf8'))).definition);
}
