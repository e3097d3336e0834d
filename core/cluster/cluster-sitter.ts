import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Clock, Timer } from '../contracts/clock.ts';
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
import type { DnsProvider } from '../contracts/dns-provider.ts';
import type { MachineIdentities } from '../contracts/identity-issuer.ts';
import type { Logger } from '../contracts/logger.ts';
import type { MachineProvider } from '../contracts/machine-provider.ts';
import type { Notifier } from '../contracts/notifier.ts';
import type { RecipeLoader } from '../contracts/recipe.ts';
import type { StateStore } from '../contracts/state-store.ts';
import { didYouMean } from '../decide/nearest-names.ts';
import { planCluster } from '../decide/plan-cluster.ts';
import { settingViews } from '../decide/setting-views.ts';
import { CerebroError } from '../errors.ts';
import type { AlertView } from '../model/alert.ts';
import { SCHEMA_VERSION, storeKeys } from '../model/backup.ts';
import type { DnsView } from '../model/dns.ts';
import type { ClusterEvent } from '../model/event.ts';
import { type History, type HistorySpan, MACHINE_SUBJECT, TASK_PREFIX } from '../model/history.ts';
import type { JobRecord, JobRun, JobSpec, JobVersion } from '../model/job.ts';
import type { MachineLogin } from '../model/machine-login.ts';
import type { MachineType } from '../model/plan.ts';
import type { SettingOrigins, SettingView } from '../model/setting-view.ts';
import type { Settings } from '../model/settings.ts';
import type { RunEnd } from '../model/task.ts';
import type { WorkCounts } from '../model/work-counts.ts';
import { providerOf } from '../model/zone.ts';
import { Alerts } from './alerts.ts';
import { ApiTokens } from './api-tokens.ts';
import { type Authority, CertificateAuthority } from './certificate-authority.ts';
import { CertificateKeeper } from './certificate-keeper.ts';
import { ClusterRecords, keys } from './cluster-records.ts';
import { ClusterViews } from './cluster-views.ts';
import { DnsPublisher } from './dns-publisher.ts';
import { Executor } from './executor.ts';
import { Intake } from './intake.ts';
import { JobOrders } from './job-orders.ts';
import { Leadership } from './leadership.ts';
import { MachineAgents } from './machine-agents.ts';
import { MachineClient } from './machine-client.ts';
import type { MachineLink } from './machine-link.ts';
import { loginTo } from './machine-login.ts';
import { MachineOrders } from './machine-orders.ts';
import { Observer } from './observer.ts';
import { previewPlan } from './plan-preview.ts';
import { RecipeRunner } from './recipe-runner.ts';
import { Reconciler } from './reconciler.ts';
import { EmptyMachines, snapshotOf } from './snapshot.ts';
import { WorkCounter } from './work-counter.ts';
import { backupLines, readStore } from './write-backup.ts';
import { zonesInUse } from './zones-in-use.ts';

const STOP_MS = 5000;

export interface ClusterSitterDeps {
  settings: Settings;
  store: StateStore;
  providers: readonly MachineProvider[];
  dnsProviders?: readonly DnsProvider[];
  recipeLoaders: readonly RecipeLoader[];
  notifiers: readonly Notifier[];
  /** Another than the one that is kept in the store. */
  authority?: Authority;
  /** `zones`: those in use. */
  plugins(zones: readonly string[]): PluginView[];
  origins?: SettingOrigins | undefined;
  setLogLevel(level: string): void;
  version: string;
  clock: Clock;
  logger: Logger;
  /** How machines are reached, when not over the network: for simulations. Commands carry the epoch that is asked for. */
  link?(epoch: () => number): MachineLink;
  /** Another planner than `planCluster`: for simulations that show what a wrong one would do. */
  plan?: typeof planCluster;
}

/** The cluster side, put together: takes orders, shows what is, and keeps the loop going. */
export class ClusterSitter implements ClusterApi {
  readonly tokens: ApiTokens;
  readonly #deps: ClusterSitterDeps;
  readonly #records: ClusterRecords;
  readonly #client: MachineLink;
  readonly #observer: Observer;
  readonly #authority: Authority;
  readonly #certificates: CertificateKeeper;
  readonly #recipes: RecipeRunner;
  readonly #executor: Executor;
  readonly #reconciler: Reconciler;
  readonly #dns: DnsPublisher;
  readonly #intake: Intake;
  readonly #views: ClusterViews;
  readonly #alerts: Alerts;
  readonly #jobOrders: JobOrders;
  readonly #machineOrders: MachineOrders;
  readonly #work = new WorkCounter();
  readonly #empty = new EmptyMachines();
  readonly #providers: ReadonlyMap<string, MachineProvider>;
  readonly #listeners = new Set<(what?: 'figures') => void>();
  readonly #leadership: Leadership;
  #observes = false;
  #logLevel: string | null = null;
  #startedAt = 0;
  /** Since when this process has run without a pause: one that was frozen (a suspended host, SIGSTOP) has heard nobody meanwhile. */
  #awakeSince = 0;
  #lastTick = 0;
  #tick: Timer | null = null;

  constructor(deps: ClusterSitterDeps) {
    const { settings, store, clock, logger } = deps;
    const lifetimeMs = settings.certificate_lifetime * 1000;
    const authority = deps.authority ?? new CertificateAuthority({ store, clock, lifetimeMs });
    this.#authority = authority;
    this.#deps = deps;
    this.#providers = new Map(deps.providers.map((provider) => [provider.name, provider]));
    this.#leadership = new Leadership({
      store,
      holder: `${hostname()}:${process.pid}`,
      clock,
      logger,
      begin: (fresh) => this.#begin(fresh),
      end: () => this.#end(),
    });
    this.#records = new ClusterRecords(store, clock, {
      mayWrite: () => this.#leadership.demand(),
      onReload: () => this.#reloaded(),
    });
    this.tokens = new ApiTokens({ records: this.#records, clock, logger });
    const agents = new MachineAgents({
      issue: () => authority.issueForClusterSitter(),
      lifetimeMs: authority.lifetimeMs,
      clock,
    });
    const epoch = (): number => this.#leadership.epoch;
    this.#client = deps.link?.(epoch) ?? new MachineClient(epoch, agents);
    this.#certificates = new CertificateKeeper({
      records: this.#records,
      providers: this.#providers,
      authority,
      agents,
      client: this.#client,
      clock,
      logger,
    });
    this.#recipes = new RecipeRunner({
      loaders: deps.recipeLoaders,
      deadlineMs: settings.recipe_deadline * 1000,
      clock,
      logger,
      tell: (events) => this.#records.transact(() => ({ write: [], events })),
    });
    this.#observer = new Observer({
      records: this.#records,
      client: this.#client,
      providers: deps.providers,
      unreachableAfterMs: settings.unreachable_after * 1000,
      clock,
      logger,
      onNews: () => {
        this.#reconciler.poke();
        this.#dns.poke();
        this.#changed();
      },
      onVitals: () => this.#changed('figures'),
      leads: () => this.#leadership.leads(),
    });
    this.#executor = new Executor({
      records: this.#records,
      providers: this.#providers,
      client: this.#client,
      recipes: this.#recipes,
      identities: authority,
      work: this.#work,
      lead: this.#leadership,
      clock,
      logger,
      leashSeconds: settings.lost_after,
      onOrphanEnded: (id) => this.#observer.orphans.delete(id),
      onDone: () => {
        this.#observer.follow();
        this.#reconciler.poke();
      },
    });
    this.#reconciler = new Reconciler({
      records: this.#records,
      executor: this.#executor,
      work: this.#work,
      clock,
      logger,
      snapshot: (now) => this.#snapshot(now),
      plan: deps.plan ?? planCluster,
    });
    this.#dns = new DnsPublisher({
      settings,
      records: this.#records,
      providers: deps.dnsProviders ?? [],
      clock,
      logger,
      snapshot: (now) => this.#snapshot(now),
      onChange: () => this.#reconciler.poke(),
    });
    this.#intake = new Intake({
      records: this.#records,
      recipes: this.#recipes,
      providers: [...this.#providers.keys()],
      types: (zone) => this.machineTypes(zone),
      dnsScope: settings.dns_scope,
    });
    const orders = { records: this.#records, clock, onOrder: () => this.#reconciler.poke() };
    this.#jobOrders = new JobOrders(orders);
    this.#machineOrders = new MachineOrders({
      ...orders,
      providers: this.#providers,
      drainDeadline: settings.drain_deadline,
    });
    this.#alerts = new Alerts({
      records: this.#records,
      notifiers: deps.notifiers,
      clock,
      logger,
      snapshot: (now) => this.#snapshot(now),
      complaints: () => [...this.#reconciler.complaints, ...this.#certificates.complaints],
      others: () => this.#dns.conditions(),
    });
    this.#views = new ClusterViews({
      records: this.#records,
      contacts: this.#observer.contacts,
      clock,
      snapshot: () => this.#snapshot(clock.now()),
      complaints: () => [...this.#reconciler.complaints, ...this.#certificates.complaints],
    });
  }

  /** Leads from here on, or stands by while another does: then it shows what is, and takes over. */
  async start(): Promise<void> {
    this.#startedAt = this.#deps.clock.now();
    this.#awakeSince = this.#lastTick = this.#startedAt;
    this.#beat();
    this.#records.onChange(() => {
      this.#changed();
      this.#alerts.poke();
    });
    if (await this.#leadership.start()) return;
    await this.#records.load();
    await this.#observe();
  }

  async stop(): Promise<void> {
    this.#tick?.cancel();
    await this.#leadership.stop();
    await this.#observer.stop();
    await this.#executor.stop(STOP_MS);
    this.#records.close();
    await this.#client.close();
    await this.#leadership.release();
  }

  /** The lead is ours: everything is read anew, for what we knew may be old. */
  async #begin(fresh: boolean): Promise<void> {
    await this.#records.load();
    await this.#prepareRecords(fresh);
    this.#awakeSince = this.#deps.clock.now();
    await this.#observe();
    this.#executor.resume();
    this.#reconciler.start();
    this.#alerts.start();
    this.#certificates.start();
    this.#dns.start();
    this.#changed();
  }

  /** The lead is not ours any more, or we stop: nothing is begun, and what waits is given up. Pages and streams go on. */
  async #end(): Promise<void> {
    this.#executor.halt();
    this.#changed();
    await Promise.all([this.#alerts.stop(), this.#certificates.stop(), this.#dns.stop(), this.#reconciler.stop()]);
  }

  async #observe(): Promise<void> {
    if (this.#observes) {
      await this.#observer.describe();
      this.#observer.follow();
      return;
    }
    this.#observes = true;
    await this.#observer.start();
  }

  #reloaded(): void {
    this.#observer.follow();
    this.#reconciler.poke();
    this.#dns.poke();
    this.#alerts.poke();
    this.#changed();
  }

  /** Stops everything that runs on this host's own machines, to be taken up by the next start. */
  async suspend(by: string): Promise<void> {
    await this.#leadership.stop();
    await this.#observer.stop();
    // Who does not lead writes nothing, and can stop what runs here all the same.
    if (this.#leadership.leads())
      await this.#records.transact(() => ({
        write: [],
        events: [{ level: 'info', kind: 'cluster-down', message: 'everything is stopped, until the next start', by }],
      }));
    for (const provider of this.#deps.providers) await provider.suspend?.(this.#records.clusterId);
  }

  /** Certificates for machines, for providers that deploy sitters by themselves. */
  get identities(): MachineIdentities {
    return {
      issue: (machineId) => this.#authority.issue(machineId),
      greet: (id, endpoint) => this.#client.greet({ id, endpoint }),
    };
  }

  // --- what is ---

  status(): ClusterStatus {
    const summary = this.#views.summary();
    const { sentence } = this.#leadership;
    const names = this.#dns.conditions().map(({ sentence }) => sentence);
    return {
      clusterId: this.#records.clusterId,
      version: this.#deps.version,
      startedAt: new Date(this.#startedAt).toISOString(),
      epoch: this.#leadership.epoch,
      ...summary,
      attention: [...(sentence === null ? [] : [sentence]), ...summary.attention, ...names],
      maxIdlePerZone: { '*': this.#deps.settings.max_idle_per_zone, ...this.#records.runtime.maxIdlePerZone },
    };
  }

  jobs(): JobView[] {
    return this.#views.jobs();
  }

  job(name: string): JobView & { record: JobRecord } {
    const record = this.#jobOrders.record(name);
    return { ...this.#views.job(name), record };
  }

  machines(): MachineView[] {
    return this.#views.machines();
  }

  machine(id: string): MachineView {
    const view = this.#views.machines().find((machine) => machine.id === id);
    if (view) return view;
    throw new CerebroError('not_found', `there is no machine "${id}"${didYouMean(id, this.#records.machines.keys())}`);
  }

  copies(filter: { job?: string; machine?: string } = {}): CopyView[] {
    return this.#views.copies(filter);
  }

  copy(id: string): CopyView {
    const view = this.#views.copies({}).find((copy) => copy.copy === id);
    if (view) return view;
    throw new CerebroError('not_found', `there is no copy "${id}"${didYouMean(id, this.#records.copies.keys())}`);
  }

  async postMortems(copy: string): Promise<RunEnd[]> {
    const { machine } = this.copy(copy);
    return this.#client.runs(this.#machineOrders.record(machine), copy);
  }

  async history(of: { machine: string } | { copy: string }, span: HistorySpan): Promise<History> {
    if ('machine' in of) return this.#client.history(this.#machineOrders.record(of.machine), MACHINE_SUBJECT, span);
    const { machine, copy } = this.copy(of.copy);
    return this.#client.history(this.#machineOrders.record(machine), `${TASK_PREFIX}${copy}`, span);
  }

  work(): WorkCounts {
    return { ...this.#work.counts(), events: this.#records.events.at(-1)?.seq ?? 0 };
  }

  async events(query: EventQuery): Promise<ClusterEvent[]> {
    return this.#views.events(query);
  }

  async explain(about: string): Promise<Explanation> {
    return this.#views.explain(about);
  }

  alerts(): AlertView[] {
    return this.#alerts.list();
  }

  plugins(): PluginView[] {
    return this.#deps.plugins(zonesInUse(this.#records));
  }

  settings(): SettingView[] {
    const changed = { idle: this.#records.runtime.maxIdlePerZone, logLevel: this.#logLevel };
    return settingViews(this.#deps.settings, this.#deps.origins, changed);
  }

  machineTypes(zone: string): readonly MachineType[] {
    return this.#providers.get(providerOf(zone))?.types(zone) ?? [];
  }

  dns(): DnsView {
    return this.#dns.view();
  }

  async checkDns(): Promise<DnsView> {
    return this.#dns.check();
  }

  async backup(): Promise<Iterable<string>> {
    const { head, entries } = await readStore(this.#deps.store, this.#deps.clock.now());
    return backupLines(head, entries);
  }

  onChange(listener: (what?: 'figures') => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // --- what is asked for ---

  async apply(text: string, options: ApplyOptions): Promise<ApplyResult> {
    const specs = await this.#intake.read(text, options.source);
    const forecast = await this.#forecast(specs);
    const draft = this.#intake.draft(specs, options.by, this.#deps.clock.now());
    if (options.dryRun) return { dryRun: true, changes: draft.changes, ...forecast };
    const changes = await this.#intake.apply(specs, options.by, this.#deps.clock.now(), options.ifUpdatedAt);
    this.#reconciler.poke();
    return { dryRun: false, changes, ...forecast };
  }

  async plan(wish: { text: string; source: string; lost: string[]; drained: string[] }): Promise<Forecast> {
    for (const id of [...wish.lost, ...wish.drained]) this.#machineOrders.record(id);
    const specs = wish.text.trim() === '' ? [] : await this.#intake.read(wish.text, wish.source);
    return this.#forecast(specs, wish.lost, wish.drained);
  }

  async removeJob(name: string, by: string): Promise<void> {
    await this.#jobOrders.remove(name, by);
  }

  async restartCopies(filter: { job?: string; copy?: string }, by: string): Promise<string[]> {
    if (filter.copy !== undefined) {
      await this.#jobOrders.restartCopy(filter.copy, by);
      return [filter.copy];
    }
    return filter.job === undefined ? [] : this.#jobOrders.restart(filter.job, by);
  }

  async stopJob(name: string, by: string): Promise<void> {
    await this.#jobOrders.stop(name, by);
  }

  async startJob(name: string, by: string): Promise<void> {
    await this.#jobOrders.start(name, by);
  }

  async scaleJob(name: string, zone: string | null, count: number, by: string): Promise<void> {
    const job = this.#jobOrders.record(name);
    const which = zone ?? Object.keys(job.spec.deployment_layout)[0] ?? '';
    const entry = { ...job.spec.deployment_layout[which], count };
    const spec = { ...job.spec, deployment_layout: { ...job.spec.deployment_layout, [which]: entry } };
    this.#intake.check([spec]);
    await this.#jobOrders.scale(name, zone, count, by);
  }

  versions(name: string): JobVersion[] {
    return this.#jobOrders.versions(name);
  }

  async rollBack(name: string, to: number | null, by: string): Promise<number> {
    return this.#jobOrders.rollBack(name, to, by);
  }

  async rollOut(name: string, action: RollOutAction, by: string): Promise<void> {
    await this.#jobOrders.rollOut(name, action, by);
  }

  async runJob(name: string, by: string): Promise<JobRun> {
    return this.#jobOrders.run(name, by);
  }

  async stopRun(name: string, run: number | null, by: string): Promise<number> {
    return this.#jobOrders.stopRun(name, run, by);
  }

  async cordonMachine(id: string, cordoned: boolean, by: string): Promise<void> {
    await this.#machineOrders.cordon(id, cordoned, by);
  }

  async drainMachine(id: string, by: string, deadlineSeconds?: number): Promise<void> {
    await this.#machineOrders.drain(id, by, deadlineSeconds);
  }

  async cancelDrain(id: string, by: string): Promise<void> {
    await this.#machineOrders.cancelDrain(id, by);
  }

  async replaceMachine(id: string, by: string): Promise<string> {
    return this.#machineOrders.replace(id, by);
  }

  login(what: string): Promise<MachineLogin> {
    return loginTo(what, this.#records, this.#providers);
  }

  async providerAction(machine: string, action: string, by: string): Promise<string> {
    this.#leadership.demand();
    return this.#machineOrders.providerAction(machine, action, by);
  }

  async setIdleLimit(limit: number, zone: string | null, by: string): Promise<void> {
    await this.#machineOrders.setIdleLimit(limit, zone, by);
  }

  setLogLevel(level: string, by: string): void {
    this.#deps.setLogLevel(level);
    this.#logLevel = level;
    this.#deps.logger.info({ level, by }, 'the log level was changed');
    const event = { level: 'info', kind: 'log-level', message: `the log level is ${level}`, by } as const;
    this.#records
      .transact(() => ({ write: [], events: [event] }))
      .catch((error: unknown) =>
        this.#deps.logger.warn({ err: error }, 'a change of the log level is not on the timeline'),
      );
  }

  /** The log of a task: by its copy, or by its job's name where that has one copy, or where `machine` leaves one. */
  async log(
    name: string,
    which: { machine?: string | undefined; copy?: string | undefined },
    asked: { query: URLSearchParams; headers: Record<string, string> },
    signal: AbortSignal,
  ): ReturnType<MachineClient['log']> {
    const copy = this.#views.findCopy(name, which);
    return this.#client.log(this.#machineOrders.record(copy.machine), copy.copy, asked, signal);
  }

  // --- inside ---

  #beat(): void {
    this.#noticePause(this.#deps.clock.now());
    this.#tick = this.#deps.clock.timer(500, () => this.#beat());
  }

  #noticePause(now: number): void {
    if (now - this.#lastTick > 2500) this.#awakeSince = now;
    this.#lastTick = now;
  }

  #snapshot(now: number): ReturnType<typeof snapshotOf> {
    this.#noticePause(now);
    const snapshot = snapshotOf(
      {
        records: this.#records,
        contacts: this.#observer.contacts,
        empty: this.#empty,
        orphans: this.#observer.orphans,
        soldOut: this.#executor.soldOut,
        types: (zone) => this.machineTypes(zone),
        settings: this.#deps.settings,
        startedAt: this.#awakeSince,
      },
      now,
    );
    return { ...snapshot, dnsHolds: this.#dns.holds(snapshot), dnsWaitMs: this.#dns.longestHoldMs };
  }

  /** What would follow if a wish came true. */
  async #forecast(
    specs: readonly JobSpec[],
    lost: readonly string[] = [],
    drained: readonly string[] = [],
  ): Promise<Forecast> {
    const now = this.#deps.clock.now();
    const { jobs, versions } = this.#intake.draft(specs, '', now);
    const wish = { jobs, versions, lost, drained };
    const { sentences, price } = previewPlan(this.#snapshot(now), this.#records.versions, wish);
    return { plan: [...sentences, ...(await this.#dns.forecast(specs))], price };
  }

  /** First start: the cluster gets its name. A fresh start, and no take-over: jobs that are not persistent are forgotten, their copies stopped. */
  async #prepareRecords(fresh: boolean): Promise<void> {
    await this.#records.transact(() => {
      if (this.#records.clusterId !== '') return null;
      return {
        write: [{ put: keys.cluster, value: randomUUID() }],
        events: [{ level: 'info', kind: 'cluster-created', message: 'this cluster begins' }],
      };
    });
    await this.#records.transact(() => {
      if (this.#records.storeId !== '') return null;
      const write = [
        { put: storeKeys.id, value: randomUUID() },
        { put: storeKeys.schema, value: SCHEMA_VERSION },
      ];
      return { write, events: [] };
    });
    if (!fresh) return;
    await this.#records.transact(() => {
      const passing = [...this.#records.jobs.values()].filter((job) => !job.spec.persistent && job.state === 'active');
      return {
        write: passing.map((job) => ({
          put: keys.job(job.name),
          value: { ...job, state: 'removing' } satisfies JobRecord,
        })),
        events: passing.map((job) => ({
          level: 'info' as const,
          kind: 'job-removing',
          message: `"${job.name}" is not persistent and is forgotten, since the cluster sitter was started afresh`,
          job: job.name,
        })),
      };
    });
  }

  #changed(what?: 'figures'): void {
    this.#views.changed(what);
    for (const listener of this.#listeners) listener(what);
  }
}
