import type { MachineCapacity } from '../model/capacity.ts';
import type { ClusterEvent } from '../model/event.ts';
import type { History, HistorySpan } from '../model/history.ts';
import type { LimitHolds, RunEnd, TaskStatus } from '../model/task.ts';
import type { TasksReport } from '../model/tasks-report.ts';
import type { MachineVitals } from '../model/vitals.ts';

/** What a machine sitter says of itself. */
export interface MachineAbout {
  version: string;
  /** The host's own name. */
  hostname: string;
  /** Who holds the limits, and how firmly each. */
  enforcer: string;
  holds: LimitHolds;
  /** Why better enforcers do not work here, one sentence each. */
  passedOver: readonly string[];
  /** Folders of tasks whose files cannot be read -> why. */
  damaged: ReadonlyMap<string, string>;
}

/** The end of a log, and where it goes on. */
export interface LogTail {
  run: number;
  /** The numbers of the runs that are kept, oldest first. */
  runs: readonly number[];
  text: string;
  /** The offset of the first byte after `text`. */
  offset: number;
}

export type TaskAction = 'start' | 'stop' | 'restart';

/** One machine, as its own pages are made from it. Errors are `CerebroError`s. */
export interface MachineApi {
  about(): MachineAbout;
  vitals(): MachineVitals;
  /** `of`: "machine", or a task. */
  history(of: string, span: HistorySpan): History;
  tasks(): TaskStatus[];
  task(id: string): TaskStatus;
  act(id: string, action: TaskAction, by: string): TaskStatus;
  /** Sends a signal to every process of the task. Throws `conflict` when nothing of it runs. */
  signal(id: string, signal: NodeJS.Signals, by: string): void;
  /** What this machine offers and what is reserved; null: nobody counts. */
  capacity(): MachineCapacity | null;
  /** `text` holds task definitions, as a file of tasks does; `source` is what it is called in messages. */
  addTasks(text: string, options: { source: string; start: boolean; by: string }): Promise<TasksReport>;
  /** Also one whose files are damaged. false: there was no such task. */
  removeTask(id: string): Promise<boolean>;
  /** Takes up the file of tasks as it is now. */
  loadTasks(by: string): Promise<TasksReport>;
  /** Writes the tasks that are there into the file of tasks. */
  writeTasks(by: string): Promise<{ file: string; written: string[]; leftOut: string[] }>;
  postMortems(id: string): RunEnd[];
  /** The newest events, oldest first; of one task where it is named. */
  events(query: { limit: number; task?: string }): ClusterEvent[];
  /** The last lines of a run's log (absent: the newest run's), at most 256 KiB. Throws `not_found` for a run that is not kept. */
  logTail(id: string, stream: 'stdout' | 'stderr', options: { lines: number; run?: number }): Promise<LogTail>;
  /** Called whenever anything that a page shows may have changed; returns how to stop. */
  onChange(listener: () => void): () => void;
}
