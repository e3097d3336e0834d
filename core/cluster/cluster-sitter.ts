import { hostname } from 'node:os';
import type { Clock } from '../contracts/clock.ts';
import type { PluginView } from '../contracts/cluster-api.ts';
import type { DnsProvider } from '../contracts/dns-provider.ts';
import type { MachineIdentities } from '../contracts/identity-issuer.ts';
import type { Logger } from '../contracts/logger.ts';
import type { MachineProvider } from '../contracts/machine-provider.ts';
import type { Notifier } from '../contracts/notifier.ts';
import type { RecipeLoader } from '../contracts/recipe.ts';
import type { StateStore } from '../contracts/state-store.ts';
import { planCluster } from '../decide/plan/plan-cluster.ts';
import { CerebroError, messageOf } from '../errors.ts';
import type { NewEvent } from '../model/event.ts';
import type { MachineType } from '../model/plan.ts';
import type { SettingOrigins } from '../model/setting-view.ts';
import type { Settings } from '../model/settings.ts';
import { providerOf } from '../model/zone.ts';
import { ApiTokens } from './access/api-tokens.ts';
import { type Authority, CertificateAuthority } from './access/certificate-authority.ts';
import { NO_SECRET_KEY, type SecretKey } from './access/secret-key.ts';
import { Secrets } from './access/secrets.ts';
import { Alerts } from './alerts.ts';
import { ProgressBoard } from './copies/progress-board.ts';
import { RecipeRunner } from './copies/recipe-runner.ts';
import { DnsPublisher, type DnsPublisherDeps } from './dns/dns-publisher.ts';
import { Executor } from './executor.ts';
import { Leadership } from './leader/leadership.ts';
import { Peers } from './leader/peers.ts';
import { Adoption } from './machines/adoption.ts';
import { CertificateKeeper } from './machines/certificate-keeper.ts';
import { MachineAgents } from './machines/machine-agents.ts';
import { MachineClient } from './machines/machine-client.ts';
import type { MachineLink } from './machines/machine-link.ts';
import { Observer } from './machines/observer.ts';
import { Intake } from './orders/intake.ts';
import { JobChanges } from './orders/job-changes.ts';
import { JobOrders } from './orders/job-orders.ts';
import { MachineOrders } from './orders/machine-orders.ts';
import { PauseWatch } from './orders/pause-watch.ts';
import { Reconciler } from './reconciler.ts';
import { ClusterRecords } from './records/cluster-records.ts';
import { forgetPassingJobs, nameCluster } from './records/first-records.ts';
import { EmptyMachines, snapshotOf } from './records/snapshot.ts';
import { ServedCluster } from './served-cluster.ts';
import { ClusterViews } from './views/cluster-views.ts';
import { WorkCounter } from './work/work-counter.ts';

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
  /** What secrets are sealed with; absent: there are none. */
  secretKey?: SecretKey;
  /** `zones`: those in use. */
  plugins(zones: readonly string[]): PluginView[];
  /** Where the settings came from. */
  origins?: SettingOrigins | undefined;
  setLogLevel(level: string): void;
  /** Where other cluster sitters of the same store reach this one; absent: there are none. */
  address?: (() => string) | undefined;
  version: string;
  clock: Clock;
  logger: Logger;
  /** How machines are reached, when not over the network: for simulations. Commands carry the epoch that is asked for. */
  link?(epoch: () => number): MachineLink;
  /** Another planner than `planCluster`: for simulations that show what a wrong one would do. */
  plan?: typeof planCluster;
  planNames?: DnsPublisherDeps['plan'];
}

/** The cluster side, put together, and its life: it leads or stands by, and keeps the loops going while it leads. */
export class ClusterSitter {
  /** What people and programs ask of it. */
  readonly api: ServedCluster;
  readonly adoption: Adoption;
  readonly secrets: Secrets;
  readonly tokens: ApiTokens;
  readonly #deps: ClusterSitterDeps;
  readonly #records: ClusterRecords;
  readonly #client: MachineLink;
  readonly #observer: Observer;
  readonly #authority: Authority;
  readonly #certificates: CertificateKeeper;
  readonly #progress: ProgressBoard;
  readonly #recipes: RecipeRunner;
  readonly #executor: Executor;
  readonly #reconciler: Reconciler;
  readonly #dns: DnsPublisher;
  readonly #alerts: Alerts;
  readonly #work = new WorkCounter();
  readonly #empty = new EmptyMachines();
  readonly #pauses: PauseWatch;
  readonly #providers: ReadonlyMap<string, MachineProvider>;
  readonly #views: ClusterViews;
  readonly #listeners = new Set<(what?: 'figures') => void>();
  readonly #leadership: Leadership;
  readonly peers: Peers;
  #observes = false;
  #startedAt = 0;

  constructor(deps: ClusterSitterDeps) {
    const { settings, store, clock, logger } = deps;
    const lifetimeMs = settings.certificate_lifetime * 1000;
    const authority = deps.authority ?? new CertificateAuthority({ store, clock, lifetimeMs });
    this.#authority = authority;
    this.#deps = deps;
    this.#pauses = new PauseWatch(clock);
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
    this.peers = new Peers({ records: this.#records, lead: this.#leadership, authority, address: deps.address, clock });
    const orders = { records: this.#records, clock, onOrder: () => this.#reconciler.poke() };
    this.tokens = new ApiTokens({ records: this.#records, clock, logger });
    this.secrets = new Secrets({ ...orders, key: deps.secretKey ?? NO_SECRET_KEY });
    this.adoption = new Adoption({
      records: this.#records,
      providers: this.#providers,
      clock,
      demand: () => this.#leadership.demand(),
      onAdopted: async () => {
        await this.#observer.describe();
        this.#reloaded();
      },
    });
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
    const tell = (events: NewEvent[]): Promise<void> => this.#records.transact(() => ({ write: [], events }));
    this.#progress = new ProgressBoard({
      machines: this.#records.machines,
      providers: deps.providers,
      logger,
      tell,
      onChange: (what) => this.#changed(what),
    });
    this.#recipes = new RecipeRunner({
      loaders: deps.recipeLoaders,
      deadlineMs: settings.recipe_deadline * 1000,
      clock,
      logger,
      tell,
      onProgress: (copy, progress) => this.#progress.noteCopy(copy, progress),
      dnsName: (copy) => this.#dns.nameOf(copy),
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
      onLine: (machine, failure) => this.#progress.noteLine(machine, failure),
      leads: () => this.#leadership.leads(),
    });
    this.#executor = new Executor({
      records: this.#records,
      providers: this.#providers,
      client: this.#client,
      recipes: this.#recipes,
      identities: authority,
      secrets: this.secrets,
      work: this.#work,
      lead: this.#leadership,
      clock,
      logger,
      leashSeconds: settings.lost_after,
      isHeld: ({ id, job }) => {
        const now = clock.now();
        return this.#dns.hasNames(job) && (this.#snapshot(now).dnsHolds?.get(id) ?? 0) > now;
      },
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
      plan: deps.planNames,
    });
    const intake = new Intake({
      records: this.#records,
      recipes: this.#recipes,
      providers: [...this.#providers.keys()],
      types: this.#types,
      complaint: this.#complaint,
      dnsScope: settings.dns_scope,
      secrets: this.secrets,
    });
    const jobOrders = new JobOrders(orders);
    const machineOrders = new MachineOrders({
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
      progress: this.#progress,
      snapshot: () => this.#snapshot(clock.now()),
      complaints: () => [...this.#reconciler.complaints, ...this.#certificates.complaints],
    });
    this.api = new ServedCluster({
      ...deps,
      records: this.#records,
      views: this.#views,
      tokens: this.tokens,
      client: this.#client,
      jobChanges: new JobChanges({
        records: this.#records,
        intake,
        jobOrders,
        machineOrders,
        dns: this.#dns,
        clock,
        snapshot: (now) => this.#snapshot(now),
        onChange: () => this.#reconciler.poke(),
      }),
      jobOrders,
      machineOrders,
      adoption: this.adoption,
      dns: this.#dns,
      alerts: this.#alerts,
      leadership: this.#leadership,
      peers: this.peers,
      work: this.#work,
      providers: this.#providers,
      startedAt: () => this.#startedAt,
      onChange: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
    });
  }

  /** Leads from here on, or stands by while another does: then it shows what is, and takes over. */
  async start(): Promise<void> {
    this.#startedAt = this.#deps.clock.now();
    this.#pauses.start();
    this.#progress.start();
    this.#records.onChange((changes) => {
      // Who stands by learns of new machines, and of their addresses, by the records alone.
      if (this.#observes && changes.some(({ key }) => key.startsWith('machine/'))) this.#observer.follow();
      this.#changed();
      this.#alerts.poke();
    });
    if (await this.#leadership.start()) return;
    await this.#records.load();
    await this.#observe();
  }

  async stop(): Promise<void> {
    this.#pauses.stop();
    await this.#leadership.stop();
    await this.#observer.stop();
    await this.#executor.stop(STOP_MS);
    this.#records.close();
    await this.#client.close();
    await this.peers.close();
    await this.#leadership.release();
  }

  /** The lead is ours: everything is read anew, for what we knew may be old. */
  async #begin(fresh: boolean): Promise<void> {
    await this.#records.load();
    await nameCluster(this.#records);
    if (fresh) await forgetPassingJobs(this.#records);
    await this.peers.announce();
    this.#pauses.wake();
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

  /**
   * Stops everything that runs on this host's own machines, to be taken up by the next start. What cannot be stopped keeps nothing else
   * from it; then it throws `unavailable`, and says what that was.
   */
  async suspend(by: string): Promise<void> {
    const { logger, providers } = this.#deps;
    await this.#leadership.stop();
    await this.#observer.stop();
    // Who does not lead writes nothing, and can stop what runs here all the same; so can who has no room to write.
    if (this.#leadership.leads())
      await this.#records
        .transact(() => ({
          write: [],
          events: [{ level: 'info', kind: 'cluster-down', message: 'everything is stopped, until the next start', by }],
        }))
        .catch((error: unknown) => logger.warn({ err: error }, 'that everything is stopped could not be recorded'));
    const failures: string[] = [];
    for (const provider of providers) {
      try {
        await provider.suspend?.(this.#records.clusterId);
      } catch (error) {
        logger.error({ provider: provider.name, err: error }, 'its machines could not be stopped in order');
        failures.push(`${provider.name}: ${messageOf(error)}`);
      }
    }
    if (failures.length > 0)
      throw new CerebroError(
        'unavailable',
        `not everything could be stopped: ${failures.join('; ')}; the daemon ends, and what is left runs on: call "down" again`,
      );
  }

  /** Certificates for machines, for providers that deploy sitters by themselves. */
  get identities(): MachineIdentities {
    return {
      issue: (machineId) => this.#authority.issue(machineId),
      greet: (id, endpoint) => this.#client.greet({ id, endpoint }),
    };
  }

  #snapshot(now: number): ReturnType<typeof snapshotOf> {
    const snapshot = snapshotOf(
      {
        records: this.#records,
        contacts: this.#observer.contacts,
        empty: this.#empty,
        orphans: this.#observer.orphans,
        soldOut: this.#executor.soldOut,
        types: this.#types,
        complaint: this.#complaint,
        settings: this.#deps.settings,
        startedAt: this.#pauses.awakeSince(now),
      },
      now,
    );
    return { ...snapshot, dnsHolds: this.#dns.holds(snapshot), dnsWaitMs: this.#dns.longestHoldMs };
  }

  readonly #types = (zone: string): readonly MachineType[] => this.#providers.get(providerOf(zone))?.types(zone) ?? [];

  readonly #complaint = (zone: string): string | null =>
    this.#providers.get(providerOf(zone))?.complaint?.(zone) ?? null;

  #changed(what?: 'figures'): void {
    this.#views.changed(what);
    for (const listener of this.#listeners) listener(what);
  }
}
