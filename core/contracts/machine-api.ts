import type { MachineCapacity } from '../model/capacity.ts';
import type { TaskStatus } from '../model/task.ts';
import type { TasksReport } from '../model/tasks-report.ts';
import type { PageAnswer, PageRequest } from './ui.ts';

/** What endpoints of plugins on a machine sitter are made from. Errors are `CerebroError`s. */
export interface MachineApi {
  tasks(): TaskStatus[];
  task(id: string): TaskStatus;
  capacity(): MachineCapacity | null;
  /** `text` holds task definitions, as a file of tasks does; `source` is what it is called in messages. */
  addTasks(text: string, options: { source: string; start: boolean; by: string }): Promise<TasksReport>;
  act(id: string, action: 'start' | 'stop' | 'restart', by: string): TaskStatus;
  removeTask(id: string): Promise<void>;
  loadTasks(by: string): Promise<TasksReport>;
  writeTasks(by: string): Promise<{ file: string; written: string[]; leftOut: string[] }>;
}

/** An endpoint of a machine sitter for programs: it needs a bearer token, and its errors are JSON. */
export interface MachinePage {
  method: 'GET' | 'POST';
  /** A router path. */
  path: string;
  answer(request: PageRequest, api: MachineApi): Promise<Extract<PageAnswer, { json: unknown } | { redirect: string }>>;
}
