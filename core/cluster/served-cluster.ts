import type { Clock } from '../contracts/clock.ts';
import type {
  ApplyOptions,
  ApplyResult,
  ClusterApi,
  ClusterStatus,
  CopyView,
  EventQuery,
  Explanation,
  Forecast,
  JobView,
  MachineView,
  PluginView,
  RollOutAction,
} from '../contracts/cluster-api.ts';
import type { Logger } from '../contracts/logger.ts';
import type { MachineProvider } from '../contracts/machine-provider.ts';
import type { StateStore } from '../contracts/state-store.ts';
import { settingViews } from '../decide/setting-views.ts';
import { didYouMean } from '../decide/words/nearest-names.ts';
import { CerebroError } from '../errors.ts';
import type { AlertView } from '../model/alert.ts';
import type { DnsView } from '../model/dns.ts';
import type { ClusterEvent } from '../model/event.ts';
import { type History, type HistorySpan, MACHINE_SUBJECT, TASK_PREFIX } from '../model/history.ts';
import type { JobRecord, JobRun, JobVersion } from '../model/job.ts';
import type { MachineLogin } from '../model/machine-login.ts';
import type { SettingOrigins, SettingView } from '../model/setting-view.ts';
import type { Settings } from '../model/settings.ts';
import type { RunEnd } from '../model/task.ts';
import type { HostVitals } from '../model/vitals.ts';
import type { WorkCounts } from '../model/work-counts.ts';
import type { ApiTokens } from './access/api-tokens.ts';
import type { Alerts } from './alerts.ts';
import type { DnsPublisher } from './dns/dns-publisher.ts';
import type { Leadership } from './leader/leadership.ts';
import type { Peers } from './leader/peers.ts';
import type { Adoption } from './machines/adoption.ts';
import type { MachineClient } from './machines/machine-client.ts';
import type { MachineLink } from './machines/machine-link.ts';
import { loginTo } from './machines/machine-login.ts';
import type { JobChanges } from './orders/job-changes.ts';
import type { JobOrders } from './orders/job-orders.ts';
import type { MachineOrders } from './orders/machine-orders.ts';
import type { ClusterRecords } from './records/cluster-records.ts';
import { backupLines, readStore } from './records/write-backup.ts';
import type { ClusterViews } from './views/cluster-views.ts';
import { zonesInUse } from './views/zones-in-use.ts';
import type { WorkCounter } from './work/work-counter.ts';

export interface ServedParts {
  settings: Settings;
  store: StateStore;
  records: ClusterRecords;
  views: ClusterViews;
  client: MachineLink;
  jobChanges: JobChanges;
  jobOrders: JobOrders;
  machineOrders: MachineOrders;
  adoption: Adoption;
  dns: DnsPublisher;
  alerts: Alerts;
  leadership: Leadership;
  peers: Peers;
  work: WorkCounter;
  providers: ReadonlyMap<string, MachineProvider>;
  version: string;
  clock: Clock;
  logger: Logger;
  plugins(zones: readonly string[]): PluginView[];
  tokens: ApiTokens;
  origins?: SettingOrigins | undefined;
  setLogLevel(level: string): void;
  /** ms since the epoch. */
  startedAt(): number;
  onChange(listener: (what?: 'figures') => void): () => void;
}

/** The cluster sitter as it is served: each call goes to the part that knows, or that is to act. */
export class ServedCluster implements ClusterApi {
  readonly tokens: ApiTokens;
  readonly #parts: ServedParts;
  /** As it was set while this runs; null: as it began. */
  #logLevel: string | null = null;

  constructor(parts: ServedParts) {
    this.#parts = parts;
    this.tokens = parts.tokens;
  }

  // --- what is ---

  status(): ClusterStatus {
    const summary = this.#parts.views.summary();
    const { sentence, leader } = this.#parts.peers;
    const names = this.#parts.dns.conditions().map(({ sentence }) => sentence);
    const alerts = this.#parts.alerts.list().map((alert) => alert.sentence);
    return {
      clusterId: this.#parts.records.clusterId,
      version: this.#parts.version,
      startedAt: new Date(this.#parts.startedAt()).toISOString(),
      epoch: this.#parts.leadership.epoch,
      leads: this.#parts.leadership.leads(),
      leader: leader?.url ?? null,
      ...summary,
      attention: [...new Set([...(sentence === null ? [] : [sentence]), ...summary.attention, ...names, ...alerts])],
      maxIdlePerZone: { '*': this.#parts.settings.max_idle_per_zone, ...this.#parts.records.runtime.maxIdlePerZone },
    };
  }

  jobs(): JobView[] {
    return this.#parts.views.jobs();
  }

  job(name: string): JobView & { record: JobRecord } {
    const record = this.#parts.jobOrders.record(name);
    return { ...this.#parts.views.job(name), record };
  }

  machines(): MachineView[] {
    return this.#parts.views.machines();
  }

  machine(id: string): MachineView {
    const view = this.#parts.views.machines().find((machine) => machine.id === id);
    if (view) return view;
    throw new CerebroError(
      'not_found',
      `there is no machine "${id}"${didYouMean(id, this.#parts.records.machines.keys())}`,
    );
  }

  vitals(machine: string): HostVitals | null {
    return this.#parts.views.vitals(machine);
  }

  copies(filter: { job?: string; machine?: string } = {}): CopyView[] {
    return this.#parts.views.copies(filter);
  }

  copy(id: string): CopyView {
    const view = this.#parts.views.copies({}).find((copy) => copy.copy === id);
    if (view) return view;
    throw new CerebroError('not_found', `there is no copy "${id}"${didYouMean(id, this.#parts.records.copies.keys())}`);
  }

  async postMortems(copy: string): Promise<RunEnd[]> {
    const { machine } = this.copy(copy);
    return this.#parts.client.runs(this.#parts.machineOrders.record(machine), copy);
  }

  async history(of: { machine: string } | { copy: string }, span: HistorySpan): Promise<History> {
    if ('machine' in of)
      return this.#parts.client.history(this.#parts.machineOrders.record(of.machine), MACHINE_SUBJECT, span);
    const { machine, copy } = this.copy(of.copy);
    return this.#parts.client.history(this.#parts.machineOrders.record(machine), `${TASK_PREFIX}${copy}`, span);
  }

  work(): WorkCounts {
    return { ...this.#parts.work.counts(), events: this.#parts.records.events.at(-1)?.seq ?? 0 };
  }

  async events(query: EventQuery): Promise<ClusterEvent[]> {
    return this.#parts.views.events(query);
  }

  async explain(about: string): Promise<Explanation> {
    return this.#parts.adoption.explain(about, () => this.#parts.views.explain(about));
  }

  alerts(): AlertView[] {
    return this.#parts.alerts.list();
  }

  plugins(): PluginView[] {
    return this.#parts.plugins(zonesInUse(this.#parts.records));
  }

  settings(): SettingView[] {
    const changed = { idle: this.#parts.records.runtime.maxIdlePerZone, logLevel: this.#logLevel };
    return settingViews(this.#parts.settings, this.#parts.origins, changed);
  }

  dns(): DnsView {
    return this.#parts.dns.view();
  }

  async checkDns(): Promise<DnsView> {
    return this.#parts.dns.check();
  }

  async backup(): Promise<Iterable<string>> {
    const { head, entries } = await readStore(this.#parts.store, this.#parts.clock.now());
    return backupLines(head, entries);
  }

  onChange(listener: (what?: 'figures') => void): () => void {
    return this.#parts.onChange(listener);
  }

  // --- what is asked for ---

  apply(text: string, options: ApplyOptions): Promise<ApplyResult> {
    return this.#parts.jobChanges.apply(text, options);
  }

  plan(wish: { text: string; source: string; lost: string[]; drained: string[] }): Promise<Forecast> {
    return this.#parts.jobChanges.plan(wish);
  }

  async removeJob(name: string, by: string): Promise<void> {
    await this.#parts.jobOrders.remove(name, by);
  }

  async restartCopies(filter: { job?: string; copy?: string }, by: string): Promise<string[]> {
    if (filter.copy !== undefined) {
      await this.#parts.jobOrders.restartCopy(filter.copy, by);
      return [filter.copy];
    }
    return filter.job === undefined ? [] : this.#parts.jobOrders.restart(filter.job, by);
  }

  async stopJob(name: string, by: string): Promise<void> {
    await this.#parts.jobOrders.stop(name, by);
  }

  async startJob(name: string, by: string): Promise<void> {
    await this.#parts.jobOrders.start(name, by);
  }

  async scaleJob(name: string, zone: string | null, count: number, by: string): Promise<void> {
    await this.#parts.jobChanges.scale(name, zone, count, by);
  }

  versions(name: string): JobVersion[] {
    return this.#parts.jobOrders.versions(name);
  }

  async rollBack(name: string, to: number | null, by: string): Promise<number> {
    return this.#parts.jobOrders.rollBack(name, to, by);
  }

  async rollOut(name: string, action: RollOutAction, by: string): Promise<void> {
    await this.#parts.jobOrders.rollOut(name, action, by);
  }

  async runJob(name: string, by: string): Promise<JobRun> {
    return this.#parts.jobOrders.run(name, by);
  }

  async stopRun(name: string, run: number | null, by: string): Promise<number> {
    return this.#parts.jobOrders.stopRun(name, run, by);
  }

  async cordonMachine(id: string, cordoned: boolean, by: string): Promise<void> {
    await this.#parts.machineOrders.cordon(id, cordoned, by);
  }

  async drainMachine(id: string, by: string, deadlineSeconds?: number): Promise<void> {
    await this.#parts.machineOrders.drain(id, by, deadlineSeconds);
  }

  async cancelDrain(id: string, by: string): Promise<void> {
    await this.#parts.machineOrders.cancelDrain(id, by);
  }

  async replaceMachine(id: string, by: string): Promise<string> {
    return this.#parts.machineOrders.replace(id, by);
  }

  login(what: string): Promise<MachineLogin> {
    return loginTo(what, this.#parts.records, this.#parts.providers);
  }

  async providerAction(machine: string, action: string, by: string): Promise<string> {
    this.#parts.leadership.demand();
    return this.#parts.machineOrders.providerAction(machine, action, by);
  }

  async setIdleLimit(limit: number, zone: string | null, by: string): Promise<void> {
    await this.#parts.machineOrders.setIdleLimit(limit, zone, by);
  }

  setLogLevel(level: string, by: string): void {
    const { records, logger } = this.#parts;
    this.#parts.setLogLevel(level);
    this.#logLevel = level;
    logger.info({ level, by }, 'the log level was changed');
    const event = { level: 'info', kind: 'log-level', message: `the log level is ${level}`, by } as const;
    // Who stands by has a level of its own too, and no timeline to write to.
    records
      .transact(() => ({ write: [], events: [event] }))
      .catch((error: unknown) => logger.info({ err: error }, 'the change of the log level is not on the timeline'));
  }

  /** The log of a task: by its copy, or by its job's name where that has one copy, or where `machine` leaves one. */
  async log(
    name: string,
    which: { machine?: string | undefined; copy?: string | undefined },
    asked: { query: URLSearchParams; headers: Record<string, string> },
    signal: AbortSignal,
  ): ReturnType<MachineClient['log']> {
    const copy = this.#parts.views.findCopy(name, which);
    return this.#parts.client.log(this.#parts.machineOrders.record(copy.machine), copy.copy, asked, signal);
  }
}
