import type { CopyState } from '../model/copy.ts';
import type { ClusterEvent } from '../model/event.ts';
import type { JobRecord } from '../model/job.ts';
import type { MachineType } from '../model/plan.ts';
import type { RunEnd, TaskStatus } from '../model/task.ts';

export interface ZoneCounts {
  wanted: number;
  ready: number;
  starting: number;
  failing: number;
}

export interface JobView {
  name: string;
  version: number;
  state: JobRecord['state'];
  zones: Record<string, ZoneCounts>;
  updatedAt: string;
  linkedJob: string | null;
}

export interface CopyView {
  copy: string;
  job: string;
  zone: string;
  machine: string;
  state: CopyState;
  /** One sentence: why it is in that state. */
  reason: string;
  version: number;
  cpu: number;
  mem: number;
  createdAt: string;
  task: TaskStatus | null;
}

export interface MachineView {
  id: string;
  zone: string;
  /** Its state, or `suspect` / `unreachable` where it should be ready and is not heard. */
  state: string;
  reason: string;
  address: string | null;
  type: string;
  cordoned: boolean;
  cpu: { offered: number; reserved: number; used: number | null };
  /** MB. */
  mem: { offered: number; reserved: number; used: number | null };
  since: string;
  createdAt: string;
  copies: { job: string; copy: string; state: CopyState; version: number }[];
}

export interface JobChange {
  job: string;
  change: 'created' | 'updated' | 'unchanged';
  version: number;
  /** Whether copies have to be restarted for it. */
  restarts: boolean;
}

export interface ApplyResult {
  dryRun: boolean;
  changes: JobChange[];
  /** What the next plan will do, in sentences. */
  plan: string[];
}

export interface EventQuery {
  since?: number | undefined;
  limit?: number | undefined;
  job?: string | undefined;
  machine?: string | undefined;
  copy?: string | undefined;
}

export interface ClusterStatus {
  clusterId: string;
  version: string;
  startedAt: string;
  epoch: number;
  jobs: number;
  machines: number;
  copies: Partial<Record<CopyState, number>>;
  maxIdlePerZone: Record<string, number>;
  /** What keeps Cerebro from doing what was asked, one sentence each. */
  attention: string[];
}

export interface PluginView {
  id: string;
  point: string;
  use: string;
  state: string;
}

export interface Explanation {
  about: string;
  sentences: string[];
  timeline: ClusterEvent[];
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
