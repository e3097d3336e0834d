import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type TaskDefinition, taskDefinition } from '../../core/model/task.ts';

/** As much of a task's file as says what it is. */
const taskFile = z.object({ definition: taskDefinition });

/** The tasks that a machine sitter keeps in its folder of tasks, without asking it. Throws what is wrong with a file. */
export function readTaskFolder(folder: string): TaskDefinition[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map((name) => join(folder, name, 'task.json'))
    .filter((path) => !path.includes('/.removed-') && existsSync(path))
    .map((path) => taskFile.parse(JSON.parse(readFileSync(path, 'utf8'))).definition);
}
