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

/** What keeps a copy from being begun, beside its own record and its machine's. */
export interface CopyHolds {
  /** Names still lead to its process, which goes on for that. */
  named: boolean;
  /** The job whose copies on its machine are to be ready first. */
  leader: string | null;
}

const NO_HOLDS: CopyHolds = { named: false, leader: null };

/** What is to be said of a copy, from its record and what its machine last reported. `progress` is its recipe's, or its machine's before that. */
export function copyCondition(
  copy: CopyRecord,
  machine: MachineRecord | undefined,
  contact: MachineContact | undefined,
  silentSince: number | null,
  progress: Progress | null = null,
  holds: CopyHolds = NO_HOLDS,
): CopyCondition {
  const task = contact?.tasks?.get(copy.id) ?? null;
  const condition = (state: CopyState, reason: string): CopyCondition => ({ state, reason, task });

  if (copy.wanted === 'stop') return condition('stopping', whyStopping(copy, holds));
  if (!machine) return condition('unknown', `its machine ${copy.machine} is not known`);
  if (machine.state === 'lost') return condition('unknown', `its machine ${machine.id} is lost: ${machine.reason}`);
  if (silentSince !== null)
    return condition(
      'unknown',
      `machine ${machine.id} has not been heard since ${new Date(silentSince).toISOString()}`,
    );
  if (copy.taskVersion !== copy.version) {
    const held = whyHeld(copy, machine, contact, holds);
    return held === null ? beforeTask(copy, machine, progress, condition) : condition('placed', held);
  }
  if (!task)
    return condition(contact?.tasks ? 'starting' : 'unknown', `waiting for machine ${machine.id} to report it`);
  if (holds.named && copy.taskGeneration !== copy.generation)
    return condition('starting', 'waits with its restart until nobody can be led to it by name any more');
  if (task.version !== copy.version || task.generation !== copy.generation)
    return condition('starting', `waiting for machine ${machine.id} to report it as it is to run now`);
  return fromTask(task, condition);
}

function whyStopping(copy: CopyRecord, { named }: CopyHolds): string {
  if (copy.lastError !== null)
    return `${copy.reason}; it could not be ended yet: ${retrySentence(copy.lastError, copy)}`;
  return named ? `${copy.reason}; it goes on until nobody can be led to it by name any more` : copy.reason;
}

/** Why nothing is done about it yet though its machine is there; null: it is. */
function whyHeld(
  copy: CopyRecord,
  machine: MachineRecord,
  contact: MachineContact | undefined,
  { named, leader }: CopyHolds,
): string | null {
  if (copy.lastError !== null || (machine.state !== 'ready' && machine.state !== 'draining')) return null;
  if (contact?.connected === false) return `waits for machine ${machine.id}, which is not heard just now`;
  if (named)
    return `waits with version ${copy.version} until nobody can be led to version ${copy.taskVersion} by name any more`;
  return leader === null ? null : `waits for "${leader}" on ${machine.id}, which is not ready there yet`;
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
