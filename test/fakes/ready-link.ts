import { Readable } from 'node:stream';
import type { MachineLink } from '../../core/cluster/machines/machine-link.ts';
import type { MachineMessage } from '../../core/model/machine-stream.ts';
import type { TaskDefinition, TaskStatus } from '../../core/model/task.ts';
import { runningTask } from './running-task.ts';

/** Machines that answer at once, and run whatever they are given; what they were given is written down. */
export class ReadyLink implements MachineLink {
  readonly given: TaskDefinition[] = [];
  readonly #tasks = new Map<string, Map<string, TaskStatus>>();
  readonly #listeners = new Map<string, (message: MachineMessage) => void>();

  async close(): Promise<void> {
    await Promise.resolve();
  }

  forget(): void {
    // nothing is kept
  }

  async greet(): Promise<void> {
    await Promise.resolve();
  }

  async putIdentity(): Promise<void> {
    await Promise.resolve();
  }

  async putTask(machine: { id: string }, definition: TaskDefinition): Promise<TaskStatus> {
    this.given.push(definition);
    const task = runningTask(definition);
    this.#of(machine.id).set(task.id, task);
    this.#listeners.get(machine.id)?.({ type: 'task', task });
    return task;
  }

  async removeTask(machine: { id: string }, id: string): Promise<void> {
    this.#of(machine.id).delete(id);
    this.#listeners.get(machine.id)?.({ type: 'task-gone', id });
  }

  async leash(): Promise<void> {
    await Promise.resolve();
  }

  async runs(): Promise<[]> {
    return [];
  }

  async history(): Promise<never> {
    throw new Error('there is no history here');
  }

  async log(): Promise<{ status: number; headers: Record<string, string>; body: Readable }> {
    return { status: 200, headers: {}, body: Readable.from([]) };
  }

  async *watch(machine: { id: string }, _since: number, signal: AbortSignal): AsyncGenerator<MachineMessage> {
    const queue: MachineMessage[] = [{ type: 'hello', enforcer: '', tasks: [...this.#of(machine.id).values()] }];
    let wake = (): void => undefined;
    this.#listeners.set(machine.id, (message) => {
      queue.push(message);
      wake();
    });
    signal.addEventListener('abort', () => wake(), { once: true });
    while (!signal.aborted) {
      for (let next = queue.shift(); next; next = queue.shift()) yield next;
      // A beat in between, so that nobody falls silent.
      await new Promise<void>((resolve) => {
        const beat = setTimeout(resolve, 200);
        wake = () => {
          clearTimeout(beat);
          resolve();
        };
      });
      queue.push({ type: 'beat' });
    }
  }

  #of(machine: string): Map<string, TaskStatus> {
    const tasks = this.#tasks.get(machine) ?? new Map<string, TaskStatus>();
    this.#tasks.set(machine, tasks);
    return tasks;
  }
}
