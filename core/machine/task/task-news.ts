import type { TaskLife, TaskStep } from '../../decide/task/task-life.ts';
import type { NewEvent } from '../../model/event.ts';
import type { TaskDefinition } from '../../model/task.ts';

/** Tells what became of one task: events for the timeline, a ring for whoever listens, and whoever waits for its next change. */
export class TaskNews {
  readonly #onEvent: (event: NewEvent) => void;
  readonly #waiters = new Set<() => void>();
  readonly #listeners = new Set<() => void>();
  /** What happened and was not told yet. */
  readonly #untold: (() => void)[] = [];

  constructor(onEvent: (event: NewEvent) => void) {
    this.#onEvent = onEvent;
  }

  /** Calls back with each ring; returns how to stop. */
  onRing(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  ring(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Resolves with the next `wake`. */
  change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.add(resolve));
  }

  wake(): void {
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }

  /** What is told is told in order, whenever that is. */
  keep(tell: () => void): void {
    this.#untold.push(tell);
  }

  tellAll(): void {
    for (const tell of this.#untold.splice(0)) tell();
  }

  event(definition: TaskDefinition, level: NewEvent['level'], kind: string, message: string): void {
    this.#onEvent({ level, kind, message, job: definition.job, copy: definition.id });
  }

  /** What a step of its life has brought, where that is worth a line. `pid`: of the run that there is now. */
  step(definition: TaskDefinition, before: TaskLife, { life, ended }: TaskStep, pid: number | null): void {
    const { id } = definition;
    if (ended) {
      const expected = ['user', 'deploy'].includes(ended.reason) || life.phase === 'exited';
      this.event(definition, expected ? 'info' : 'warn', 'task-ended', `${id} run ${before.run}: ${life.reason}`);
    } else if (life.phase === 'running' && before.phase !== 'running') {
      this.event(definition, 'info', 'task-running', `${id} runs as pid ${pid ?? '?'} (run ${life.run})`);
    } else if (life.phase !== before.phase && life.phase !== 'starting') {
      this.event(definition, 'info', `task-${life.phase}`, `${id}: ${life.reason}`);
    }
  }
}
