import type { AlertView } from '../model/alert.ts';
import type {
  ApplyResult,
  ClusterStatus,
  CopyView,
  Explanation,
  Forecast,
  JobView,
  MachineView,
  PluginView,
} from '../model/cluster-view.ts';
import type { DnsView } from '../model/dns.ts';
import type { ClusterEvent } from '../model/event.ts';
import type { History, HistorySpan } from '../model/history.ts';
import type { JobRecord, JobRun, JobVersion } from '../model/job.ts';
import type { MachineLogin } from '../model/machine-login.ts';
import type { SettingView } from '../model/setting-view.ts';
import type { RunEnd } from '../model/task.ts';
import type { WorkCounts } from '../model/work-counts.ts';
import type { TokenApi } from './token-api.ts';

export type {
  ApplyResult,
  ClusterStatus,
  CopyView,
  Explanation,
  Forecast,
  JobChange,
  JobView,
  MachineView,
  PluginView,
  ZoneCounts,
} from '../model/cluster-view.ts';

export type { DnsAliasView, DnsNameView, DnsView } from '../model/dns.ts';

export interface EventQuery {
  since?: number | undefined;
  limit?: number | undefined;
  job?: string | undefined;
  machine?: string | undefined;
  copy?: string | undefined;
}

export interface ApplyOptions {
  /** What the job file is called in messages. */
  source: string;
  dryRun: boolean;
  by: string;
  /** Refuses with `conflict` when the (one) job of the file was changed after this (its `updatedAt`). */
  ifUpdatedAt?: string | undefined;
}

export type RollOutAction = 'pause' | 'resume' | 'promote';

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
  /** The alerts that last, the newest first. */
  alerts(): AlertView[];
  /** What is loaded, and how it does. */
  plugins(): PluginView[];
  /** The settings in force, by name, each with where it came from. Secrets are not in them. */
  settings(): SettingView[];
  readonly tokens: TokenApi;
  /** Every name, as it was last known. */
  dns(): DnsView;
  /** Looks at every name, and whether people's own CNAMEs are there, before it answers. */
  checkDns(): Promise<DnsView>;
  apply(text: string, options: ApplyOptions): Promise<ApplyResult>;
  /** What would be done if the job file `text` (it may be empty) were applied and these machines were lost, or drained. */
  plan(wish: { text: string; source: string; lost: string[]; drained: string[] }): Promise<Forecast>;
  removeJob(name: string, by: string): Promise<void>;
  /** A copy at once, or all of a job by and by; resolves to their ids when that is ordered. */
  restartCopies(filter: { job?: string; copy?: string }, by: string): Promise<string[]>;
  /** No copies until it is started again. */
  stopJob(name: string, by: string): Promise<void>;
  startJob(name: string, by: string): Promise<void>;
  /** `zone` may be null where the job runs in one. */
  scaleJob(name: string, zone: string | null, count: number, by: string): Promise<void>;
  /** The versions that are kept, the newest first. */
  versions(name: string): JobVersion[];
  /** To that version, or (null) to the last one before that was well; resolves to it. */
  rollBack(name: string, to: number | null, by: string): Promise<number>;
  rollOut(name: string, action: RollOutAction, by: string): Promise<void>;
  runJob(name: string, by: string): Promise<JobRun>;
  /** That run, or (null) the one that goes on; resolves to its number. */
  stopRun(name: string, run: number | null, by: string): Promise<number>;
  cordonMachine(id: string, cordoned: boolean, by: string): Promise<void>;
  /** `deadlineSeconds`: when the copies are stopped although none elsewhere is ready; 0: never; absent: as the settings say. */
  drainMachine(id: string, by: string, deadlineSeconds?: number): Promise<void>;
  cancelDrain(id: string, by: string): Promise<void>;
  /** Resolves to the id of the machine that was ordered. */
  replaceMachine(id: string, by: string): Promise<string>;
  /** `what`: a machine, a copy, or a job on one machine. */
  login(what: string): Promise<MachineLogin>;
  providerAction(machine: string, action: string, by: string): Promise<string>;
  setIdleLimit(limit: number, zone: string | null, by: string): Promise<void>;
  setLogLevel(level: string, by: string): void;
  /** Called whenever anything that a page shows may have changed (`figures`: numbers only); returns how to stop. */
  onChange(listener: (what?: 'figures') => void): () => void;
}
