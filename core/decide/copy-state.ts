import type { CopyRecord, CopyState } from '../model/copy.ts';
import type { MachineRecord } from '../model/machine.ts';
import type { MachineContact } from '../model/plan.ts';
import type { Progress } from '../model/progress.ts';
import type { TaskStatus } from '../model/task.ts';
import { progressSentence, retrySentence } from './words/progress-sentence.ts';

export interface CopyCondition {
  state: CopyState;
  /** One sentence for people. */
  reason: string;
  task: TaskStatus | null;
}

/** What is to be said of a copy, from its record and what its machine last reported. `progress` is its recipe's, or its machine's before that. */
export function copyCondition(
  copy: CopyRecord,
  machine: MachineRecord | undefined,
  contact: MachineContact | undefined,
  silentSince: number | null,
  progress: Progress | null = null,
): CopyCondition {
  const task = contact?.tasks?.get(copy.id) ?? null;
  const condition = (state: CopyState, reason: string): CopyCondition => ({ state, reason, task });

  if (copy.wanted === 'stop') return condition('stopping', copy.reason);
  if (!machine) return condition('unknown', `its machine ${copy.machine} is not known`);
  if (machine.state === 'lost') return condition('unknown', `its machine ${machine.id} is lost: ${machine.reason}`);
  if (silentSince !== null)
    return condition(
      'unknown',
      `machine ${machine.id} has not been heard since ${new Date(silentSince).toISOString()}`,
    );
  if (copy.taskVersion !== copy.version) return beforeTask(copy, machine, progress, condition);
  if (!task)
    return condition(contact?.tasks ? 'starting' : 'unknown', `waiting for machine ${machine.id} to report it`);
  if (task.version !== copy.version || task.generation !== copy.generation)
    return condition('starting', `waiting for machine ${machine.id} to report it as it is to run now`);
  return fromTask(task, condition);
}

type Build = (state: CopyState, reason: string) => CopyCondition;

function beforeTask(
  copy: CopyRecord,
  machine: MachineRecord,
  progress: Progress | null,
  condition: Build,
): CopyCondition {
  const sentence = progress && progressSentence(progress);
  const doing = sentence === null ? '' : `: ${sentence}`;
  if (copy.lastError !== null) {
    return condition('failing', doing === '' ? retrySentence(copy.lastError, copy) : `${copy.lastError}; now${doing}`);
  }
  if (machine.state === 'ready' || machine.state === 'draining') {
    return copy.recipeVersion === copy.version
      ? condition('starting', `being given to ${machine.id}`)
      : condition('deploying', `its recipe runs on ${machine.id}${doing}`);
  }
  const why = machine.lastError === null ? doing : `: ${retrySentence(machine.lastError, machine)}`;
  return condition(
    machine.lastError === null ? 'placed' : 'failing',
    `waits for machine ${machine.id}, which is ${machine.state}${why}`,
  );
}

function fromTask(task: TaskStatus, condition: Build): CopyCondition {
  switch (task.phase) {
    case 'running':
      if (task.flapping)
        return condition(
          'failing',
          `ends again and again: ${task.lastEnd?.sentence ?? task.reason} (${task.restarts} restarts)`,
        );
      // Where it can be asked, running is not enough.
      if (task.health?.state === 'starting') return condition('starting', `not well yet: ${task.health.sentence}`);
      if (task.health?.state === 'unhealthy') return condition('failing', task.health.sentence);
      return condition('ready', task.health?.sentence ?? task.reason);
    case 'starting':
    case 'stopping':
      return condition(task.flapping ? 'failing' : 'starting', task.reason);
    case 'exited':
      return condition('completed', task.reason);
    case 'stopped':
      return condition('starting', `stopped on its machine: ${task.reason}`);
    case 'backoff':
    case 'failed':
      return condition('failing', task.reason);
  }
}
