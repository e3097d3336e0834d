import { z } from 'zod';

const names = z.array(z.string());

/** What became of a list of task definitions: each task by its name. */
export const tasksReport = z.object({
  dryRun: z.boolean(),
  added: names,
  /** Changed, and not running, or in nothing that they run with. */
  changed: names,
  restarted: names,
  removed: names,
  unchanged: names,
  /** What could not be done in the end, one sentence each; everything else was. */
  failed: names,
});
export type TasksReport = z.infer<typeof tasksReport>;

/** The report as a sentence. */
export function sentenceOf(report: TasksReport): string {
  const parts = (['added', 'changed', 'restarted', 'removed'] as const)
    .filter((what) => report[what].length > 0)
    .map((what) => `${report[what].length} ${what} (${shortList(report[what])})`);
  if (report.unchanged.length > 0) parts.push(`${report.unchanged.length} unchanged`);
  if (report.failed.length > 0) parts.push(`${report.failed.length} failed: ${report.failed.join('; ')}`);
  return parts.join(', ') || 'no tasks';
}

function shortList(list: readonly string[]): string {
  return list.length > 5 ? `${list.slice(0, 4).join(', ')} and ${list.length - 4} more` : list.join(', ');
}
