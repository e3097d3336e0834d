import { readTaskFile } from '../decide/read/read-task-file.ts';
import { changeOf } from '../decide/task/order-task.ts';
import { CerebroError, messageOf } from '../errors.ts';
import { canonical } from '../model/job.ts';
import type { TaskDefinition } from '../model/task.ts';
import type { TaskConfiguration } from '../model/task-configuration.ts';
import type { TasksReport } from '../model/tasks-report.ts';
import type { MachineSitter } from './machine-sitter.ts';

/** Definitions of several tasks at once: checked as a whole before anything is changed; then only what differs is touched. */
export class TaskList {
  readonly #sitter: MachineSitter;

  constructor(sitter: MachineSitter) {
    this.#sitter = sitter;
  }

  /** Throws `invalid` with every problem, each with its line. */
  read(text: string, source: string): TaskConfiguration[] {
    const { tasks, problems } = readTaskFile(text, source);
    if (problems.length > 0) throw refused(problems);
    return tasks;
  }

  /** Throws `invalid` or `conflict` for what cannot run here or does not fit; then nothing was changed. */
  async apply(
    configurations: readonly TaskConfiguration[],
    { remove, start, dryRun }: { remove: readonly string[]; start: boolean; dryRun: boolean },
  ): Promise<TasksReport> {
    const known = new Map(this.#sitter.definitions().map((definition) => [definition.id, definition]));
    const gone = remove.filter((id) => known.has(id));
    const definitions = configurations.map((configuration) =>
      definitionOf(configuration, known.get(configuration.name)),
    );
    const restarting = this.#check(definitions, gone, start);
    const report: TasksReport = {
      dryRun,
      added: [],
      changed: [],
      restarted: [],
      removed: [...gone],
      unchanged: [],
      failed: [],
    };
    // First what goes, so that there is room for what comes.
    if (!dryRun) await Promise.all(gone.map((id) => this.#try(report, id, () => this.#sitter.remove(id))));
    for (const definition of definitions) {
      const before = known.get(definition.id);
      const what = !before
        ? 'added'
        : changeOf(before, definition) === 'same'
          ? 'unchanged'
          : restarting.has(definition.id)
            ? 'restarted'
            : 'changed';
      report[what].push(definition.id);
      if (!dryRun) await this.#try(report, definition.id, () => this.#sitter.put(definition, { start }));
    }
    return report;
  }

  /** The tasks that will be restarted. */
  #check(definitions: readonly TaskDefinition[], gone: readonly string[], start: boolean): Set<string> {
    const restarting = new Set<string>();
    const problems: string[] = [];
    const without = new Set(gone);
    const beside: TaskDefinition[] = [];
    for (const definition of definitions) {
      try {
        const { event, change, takesRoom } = this.#sitter.check(definition, start, { without, beside });
        if (event?.kind === 'restart' && change !== 'new') restarting.add(definition.id);
        without.add(definition.id);
        if (takesRoom) beside.push(definition);
      } catch (error) {
        problems.push(`"${definition.id}": ${messageOf(error)}`);
      }
    }
    if (problems.length > 0) throw refused(problems);
    return restarting;
  }

  async #try(report: TasksReport, id: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      report.failed.push(`"${id}": ${messageOf(error)}`);
    }
  }
}

/** A task of its own: its name is its id and its job, and its version counts its changes. */
function definitionOf(configuration: TaskConfiguration, before: TaskDefinition | undefined): TaskDefinition {
  const { name } = configuration;
  const same = before && canonical(before.configuration) === canonical(configuration);
  const version = (before?.version ?? 0) + (same ? 0 : 1);
  return {
    id: name,
    job: before?.job ?? name,
    version,
    generation: before?.generation ?? 0,
    leash: null,
    configuration,
  };
}

function refused(problems: readonly string[]): CerebroError {
  const sentence =
    problems.length === 1
      ? (problems[0] ?? '')
      : `${problems.length} problems, nothing was changed:\n${problems.map((problem) => `  ${problem}`).join('\n')}`;
  return new CerebroError('invalid', sentence, { details: { problems } });
}
