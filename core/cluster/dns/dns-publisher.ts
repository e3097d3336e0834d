import type { Clock } from '../../contracts/clock.ts';
import type { DnsProvider } from '../../contracts/dns-provider.ts';
import type { Logger } from '../../contracts/logger.ts';
import type { Condition } from '../../decide/alerts.ts';
import { forecastNames } from '../../decide/dns/dns-forecast.ts';
import { dnsHolds } from '../../decide/dns/dns-holds.ts';
import { basenameOf } from '../../decide/dns/dns-names.ts';
import { type DnsPlan, planDns } from '../../decide/dns/dns-plan.ts';
import type { DnsRules } from '../../decide/dns/dns-wishes.ts';
import { messageOf } from '../../errors.ts';
import type { CopyRecord } from '../../model/copy.ts';
import type { DnsView } from '../../model/dns.ts';
import type { JobSpec } from '../../model/job.ts';
import type { ClusterSnapshot } from '../../model/plan.ts';
import type { Settings } from '../../model/settings.ts';
import type { ClusterRecords } from '../records/cluster-records.ts';
import { PassLoop } from '../work/pass-loop.ts';
import { withDeadline } from '../work/with-deadline.ts';
import { DnsAliases } from './dns-aliases.ts';
import { DnsHomes } from './dns-homes.ts';
import { DnsLanes } from './dns-lanes.ts';
import { operationFor } from './dns-operations.ts';
import { type DnsViewParts, dnsConditionsOf, dnsViewOf } from './dns-view.ts';
import { ownDnsName } from './own-dns-name.ts';

/** News that come close together go out together. */
const GATHER_MS = 100;
/** It is looked whether there is something to do at least this often. */
const IDLE_MS = 30_000;
const RETRY_MS = 1000;
const STOP_MS = 3000;
/** A plan is not kept from being shown by a provider that does not answer. */
const FORECAST_MS = 5000;
/** People who ask for a check are told what is known by then. */
const CHECK_MS = 20_000;

export interface DnsPublisherDeps {
  settings: Settings;
  records: ClusterRecords;
  providers: readonly DnsProvider[];
  clock: Clock;
  logger: Logger;
  snapshot(now: number): ClusterSnapshot;
  /** Names changed: what waited for that may go on. */
  onChange(): void;
  /** Another decider than `planDns`: for simulations that show what a wrong one would do. */
  plan?: typeof planDns | undefined;
}

/**
 * Keeps the names of copies as they should be. A loop of its own beside the reconciler's, level-triggered like it: what should be
 * follows from the records and observations (`decide/dns/dns-plan.ts`), is written down, and then sent zone by zone (`DnsLane`).
 * A provider that is away delays names and nothing else.
 */
export class DnsPublisher {
  readonly #deps: DnsPublisherDeps;
  readonly #homes: DnsHomes;
  readonly #aliases: DnsAliases;
  readonly #lanes: DnsLanes;
  readonly #rules: DnsRules;
  readonly #loop: PassLoop;
  #offRecords: (() => void) | null = null;
  /** When names were last looked at, and when they are to be again (ms since the epoch). */
  #checkedAt: number | null = null;
  #nextCheckAt = 0;

  constructor(deps: DnsPublisherDeps) {
    const { settings, providers, clock } = deps;
    this.#deps = deps;
    this.#homes = new DnsHomes(providers, clock);
    this.#aliases = new DnsAliases(settings.dns_resolvers, clock);
    this.#lanes = new DnsLanes({ ...deps, ownerTxt: settings.dns_owner_txt });
    this.#loop = new PassLoop({
      clock,
      gatherMs: GATHER_MS,
      retryMs: RETRY_MS,
      pass: () => this.#pass(),
      // The records are as they were: a store that is full or away is asked again.
      onFailure: (error) => deps.logger.error({ err: error }, 'names could not be planned; it is tried again'),
    });
    this.#rules = {
      ttl: settings.dns_ttl,
      scope: settings.dns_scope,
      allowEmpty: settings.dns_allow_empty,
      home: (basename) => {
        const home = this.#homes.known(basename);
        return home?.kind === 'at' ? home : null;
      },
    };
  }

  start(): void {
    this.#offRecords = this.#deps.records.onChange((changes) => {
      if (changes.some(({ key }) => /^(job|copy|machine|dns)\//.test(key))) this.poke();
    });
    this.#loop.start();
  }

  /** Waits for what is under way, for a while; what was not confirmed is looked at by the next start. */
  async stop(): Promise<void> {
    this.#offRecords?.();
    await this.#loop.stop();
    const { clock, logger } = this.#deps;
    await withDeadline(clock, STOP_MS, 'the DNS providers did not answer', () => this.#lanes.idle()).catch(
      (error: unknown) =>
        logger.warn({ reason: messageOf(error) }, 'DNS changes were left in the middle; the next start looks at them'),
    );
  }

  /** There may be something to do. */
  poke(): void {
    this.#loop.poke();
  }

  /** The copies whose process is not to be ended yet, and when to ask again. */
  holds(snapshot: ClusterSnapshot): ReadonlyMap<string, number> {
    const { settings, records } = this.#deps;
    return dnsHolds(snapshot, records.dns, {
      scope: settings.dns_scope,
      ttl: settings.dns_ttl,
      patienceMs: settings.dns_removal_patience * 1000,
    });
  }

  /** Whether a job has names, or had some that are still to be taken out: only then can its copies be held. */
  hasNames(job: string): boolean {
    for (const record of this.#deps.records.dns.values()) if (record.job === job) return true;
    return false;
  }

  /** How long names can keep a copy from being stopped or restarted. */
  get longestHoldMs(): number {
    const { dns_ttl, dns_removal_patience } = this.#deps.settings;
    return (dns_ttl + dns_removal_patience) * 1000;
  }

  view(): DnsView {
    return dnsViewOf(this.#viewParts);
  }

  /** What stands in the way of names. */
  conditions(): Condition[] {
    return dnsConditionsOf(this.#viewParts);
  }

  /** The name that a copy has or is about to get; null: none. */
  nameOf(copy: CopyRecord): Promise<string | null> {
    return ownDnsName(copy, { ...this.#deps, homes: this.#homes });
  }

  /** What these jobs would do to names, and what stands in their way. */
  async forecast(specs: readonly JobSpec[]): Promise<string[]> {
    const { records } = this.#deps;
    const sentences = await Promise.all(
      specs.map(async (spec) => {
        const basename = basenameOf(spec);
        const before = records.jobs.get(spec.task_configuration.name)?.spec;
        const home = basename === null ? null : await this.#homes.within(basename, FORECAST_MS);
        return forecastNames(spec, before, home, this.#rules.scope);
      }),
    );
    return sentences.flat();
  }

  /** Looks at every name and at people's own CNAMEs, and tells what was found. */
  async check(): Promise<DnsView> {
    const { clock } = this.#deps;
    const aliases = [...this.#basenames()];
    await withDeadline(clock, CHECK_MS, 'not every DNS provider answered', async () => {
      await Promise.all([this.#lookAround(), this.#aliases.check(aliases)]);
    }).catch((error: unknown) => this.#deps.logger.warn({ reason: messageOf(error) }, 'a DNS check is not complete'));
    return this.view();
  }

  get #viewParts(): DnsViewParts {
    const { records, providers, clock } = this.#deps;
    return {
      now: clock.now(),
      records,
      providers: providers.map((provider) => provider.name),
      scope: this.#rules.scope,
      homes: (basename) => this.#homes.known(basename),
      alias: (name) => this.#aliases.found(name),
      checkedAt: this.#checkedAt,
    };
  }

  async #pass(): Promise<number> {
    const { clock, records, snapshot } = this.#deps;
    this.#askForHomes(clock.now());
    let plan: DnsPlan = { changes: [], wakeAt: null };
    await records.transact(() => {
      plan = (this.#deps.plan ?? planDns)(snapshot(clock.now()), records.dns, this.#rules);
      return { write: plan.changes.map(operationFor), events: [] };
    });
    if (this.#loop.stopped) return IDLE_MS;
    if (plan.changes.length > 0) this.#deps.onChange();
    if (clock.now() >= this.#nextCheckAt) void this.#lookAround();
    this.#lanes.run(() => this.#laneDone());
    const times = [plan.wakeAt ?? Number.POSITIVE_INFINITY, this.#nextCheckAt, ...this.#wakeTimes()];
    return Math.min(IDLE_MS, Math.max(GATHER_MS, Math.min(...times) - clock.now()));
  }

  #laneDone(): void {
    this.poke();
    if (!this.#loop.stopped) this.#deps.onChange();
  }

  /** Every basename that a job asks for, or that names of ours are still under. */
  #basenames(): Set<string> {
    const { records } = this.#deps;
    const found = new Set([...records.dns.values()].map((record) => record.basename));
    for (const job of records.jobs.values()) {
      const basename = basenameOf(job.spec);
      if (basename !== null) found.add(basename);
    }
    return found;
  }

  #askForHomes(now: number): void {
    const basenames = this.#basenames();
    this.#homes.keep(basenames);
    for (const basename of basenames)
      if (this.#homes.dueAt(basename) <= now) void this.#homes.ask(basename).then(() => this.poke());
  }

  /** Has everything that is ours looked at, wherever it stands. */
  async #lookAround(): Promise<void> {
    const { clock, settings } = this.#deps;
    this.#nextCheckAt = clock.now() + settings.dns_check_interval * 1000;
    const looks = this.#lanes.lookAtAll();
    this.poke();
    await Promise.all(looks);
    this.#checkedAt = clock.now();
  }

  #wakeTimes(): number[] {
    return [this.#lanes.wakeAt(), ...[...this.#basenames()].map((basename) => this.#homes.dueAt(basename))];
  }
}
