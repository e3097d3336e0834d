import type {
  ApplyResult,
  ClusterStatus,
  CopyView,
  Explanation,
  JobView,
  MachineView,
  PluginView,
} from '../model/cluster-view.ts';
import type { ClusterEvent } from '../model/event.ts';
import type { History, HistorySpan } from '../model/history.ts';
import type { JobRecord } from '../model/job.ts';
import type { MachineType } from '../model/plan.ts';
import type { RunEnd } from '../model/task.ts';
import type { WorkCounts } from '../model/work-counts.ts';

export type {
  ApplyResult,
  ClusterStatus,
  CopyView,
  Explanation,
  JobChange,
  JobView,
  MachineView,
  PluginView,
  ZoneCounts,
} from '../model/cluster-view.ts';

export interface EventQuery {
  since?: number | undefined;
  limit?: number | undefined;
  job?: string | undefined;
  machine?: string | undefined;
  copy?: string | undefined;
}

/** What the command line, the pages and the legacy endpoints are all made from. Errors are `CerebroError`s. */
export interface ClusterApi {
  status(): ClusterStatus;
  jobs(): JobView[];
  job(name: string): JobView & { record: JobRecord };
  machines(): MachineView[];
  machine(id: string): MachineView;
  copies(filter?: { job?: string; machine?: string }): CopyView[];
  copy(id: string): CopyView;
  postMortems(copy: string): Promise<RunEnd[]>;
  /** The past of a machine or a copy, asked of the machine that has it. Throws `unavailable` when that does not answer. */
  history(of: { machine: string } | { copy: string }, span: HistorySpan): Promise<History>;
  /** What was done since this cluster sitter was started. */
  work(): WorkCounts;
  events(query: EventQuery): Promise<ClusterEvent[]>;
  explain(about: string): Promise<Explanation>;
  plugins(): PluginView[];
  machineTypes(zone: string): readonly MachineType[];
  /** `text` is a job file; `source` is what it is called in messages. */
  apply(text: string, options: { source: string; dryRun: boolean; by: string }): Promise<ApplyResult>;
  removeJob(name: string, by: string): Promise<void>;
  restartCopies(filter: { job?: string; copy?: string }, by: string): Promise<string[]>;
  drainMachine(id: string, by: string): Promise<void>;
  providerAction(machine: string, action: string, by: string): Promise<string>;
  setIdleLimit(limit: number, zone: string | null, by: string): Promise<void>;
  setLogLevel(level: string, by: string): void;
  /** Called whenever anything that a page shows may have changed; returns how to stop. */
  onChange(listener: () => void): () => void;
}
