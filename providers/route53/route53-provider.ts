import type { Clock } from '../../core/contracts/clock.ts';
import {
  commonParent,
  foreignSets,
  isWithin,
  judgeSet,
  labelOf,
  type WantedSet,
  wantedSets,
} from '../../core/contracts/dns-batch.ts';
import type { DnsChange, DnsProvider, DnsRecordSet } from '../../core/contracts/dns-provider.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import { CerebroError } from '../../core/errors.ts';
import { changeBatches, type DueSet } from './change-batches.ts';
import { HostedRecords } from './hosted-records.ts';
import { plainName, sortKey } from './record-text.ts';
import { Route53Api } from './route53-api.ts';
import type { Config } from './schema.ts';

/** How long the list of hosted zones is believed. */
const ZONES_MS = 300_000;
/** Between looks at whether a change has reached all servers; it takes about a minute. */
const SYNC_MS = 5000;
/** How often a batch is made anew because somebody else changed its sets meanwhile. */
const ROUNDS = 3;

interface Zone {
  id: string;
  name: string;
}

/** Keeps records in Amazon's Route 53. */
export class Route53Provider implements DnsProvider {
  readonly name = 'route53';
  /** The values that a record set can have. */
  readonly maxValues = 400;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #config: Config;
  #api: Route53Api | null = null;
  #zones: { list: Zone[]; until: number } | null = null;
  #endWaits = new AbortController();

  constructor(services: { clock: Clock; logger: Logger }, config: Config) {
    this.#clock = services.clock;
    this.#logger = services.logger;
    this.#config = config;
  }

  /** Nothing is asked yet: a service that is down delays names, nothing else. */
  async start(): Promise<void> {
    if (this.#api) return;
    this.#api = new Route53Api(this.#config);
    this.#endWaits = new AbortController();
  }

  async stop(): Promise<void> {
    this.#endWaits.abort();
    this.#api?.close();
    this.#api = null;
    this.#zones = null;
  }

  async zoneOf(name: string): Promise<string | null> {
    return (await this.#zoneFor(name))?.name ?? null;
  }

  async list(name: string): Promise<DnsRecordSet[]> {
    const zone = await this.#zoneFor(name);
    if (!zone) return [];
    const { sets } = await this.#read(zone, name);
    return [...sets.values()].map(({ raw: _, ...set }) => set);
  }

  async apply(zoneName: string, changes: readonly DnsChange[]): Promise<void> {
    const wanted = wantedSets(zoneName, changes, this.maxValues);
    if (wanted.length === 0) return;
    const zone = await this.#zoneFor(zoneName);
    if (zone?.name !== zoneName)
      throw new CerebroError('invalid', `there is no hosted zone ${zoneName} in Route 53 that Cerebro may write`);
    const begun: string[] = [];
    let refused: CerebroError | null = null;
    for (let round = 0; round < ROUNDS; round++) {
      refused = null;
      for (const batch of changeBatches(await this.#stillDue(zone, wanted))) {
        const answer = await this.#started().change(zone.id, batch);
        if ('id' in answer) begun.push(answer.id);
        else refused = answer.refused;
      }
      if (refused === null) break;
      this.#logger.debug({ zone: zoneName }, `a batch did not fit and is made anew: ${refused.message}`);
    }
    if (refused !== null) throw refused;
    await this.#inSync(zoneName, begun);
  }

  /** What is to be changed, with what stands there now. Throws `conflict` for what is somebody else's. */
  async #stillDue(zone: Zone, wanted: readonly WantedSet[]): Promise<DueSet[]> {
    const { sets, special, aliases } = await this.#read(zone, commonParent(wanted.map((set) => set.name)));
    const judged = wanted.map((set) => {
      const there = sets.get(labelOf(set)) ?? null;
      return { set, there, verdict: special.has(labelOf(set)) ? 'foreign' : judgeSet(set, there) };
    });
    const aliased = judged
      .filter(({ set, verdict }) => verdict === 'due' && aliases.has(set.name))
      .map(({ set }) => set);
    if (aliased.length > 0)
      throw foreignSets(aliased, 'a CNAME stands there in Route 53, and nothing can stand beside a CNAME: remove it');
    const foreign = judged.filter(({ verdict }) => verdict === 'foreign').map(({ set }) => set);
    if (foreign.length > 0)
      throw foreignSets(foreign, 'Route 53 has something else there than Cerebro made, so it was left alone');
    return judged.filter(({ verdict }) => verdict === 'due');
  }

  /** The sets at a name and below it, which stand together in the zone's order. */
  async #read(zone: Zone, name: string): Promise<HostedRecords> {
    const records = new HostedRecords();
    const prefix = sortKey(name);
    await this.#started().recordSets(zone.id, name, (set) => {
      const fits = sortKey(plainName(set.Name ?? '')).startsWith(prefix);
      if (fits) records.add(set);
      return fits;
    });
    return records;
  }

  async #zoneFor(name: string): Promise<Zone | null> {
    const holding = (await this.#hostedZones()).filter((zone) => isWithin(name, zone.name));
    const [zone, twin] = holding.sort((a, b) => b.name.length - a.name.length);
    if (zone && twin?.name === zone.name)
      throw new CerebroError(
        'invalid',
        `Route 53 has several hosted zones ${zone.name} (${zone.id}, ${twin.id}): name the right one in "hosted_zones" in plugins.json`,
      );
    return zone ?? null;
  }

  async #hostedZones(): Promise<Zone[]> {
    const now = this.#clock.monotonic();
    if (this.#zones && now < this.#zones.until) return [...this.#zones.list];
    const { hosted_zones: listed } = this.#config;
    const list: Zone[] = [];
    for (const { Id = '', Name = '', Config: about } of await this.#started().hostedZones()) {
      const id = Id.replace(/^\/hostedzone\//, '');
      if (listed ? listed.includes(id) : about?.PrivateZone !== true) list.push({ id, name: plainName(Name) });
    }
    this.#zones = { list, until: now + ZONES_MS };
    return [...list];
  }

  async #inSync(zone: string, changeIds: readonly string[]): Promise<void> {
    const until = this.#clock.monotonic() + this.#config.sync_deadline * 1000;
    for (const id of changeIds) {
      while (!(await this.#started().isInSync(id))) {
        if (this.#clock.monotonic() + SYNC_MS > until)
          throw new CerebroError(
            'unavailable',
            `Route 53 has taken the change of ${zone}, and not all of its servers had it after ${this.#config.sync_deadline} s`,
          );
        await this.#pause(SYNC_MS);
      }
    }
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#endWaits;
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        timer.cancel();
        reject(new CerebroError('unavailable', 'Cerebro is stopping'));
      };
      const timer = this.#clock.timer(ms, () => {
        signal.removeEventListener('abort', stop);
        resolve();
      });
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
    });
  }

  #started(): Route53Api {
    if (!this.#api) throw new CerebroError('unavailable', 'the DNS provider route53 is not running');
    return this.#api;
  }
}
