import type { Clock } from '../../core/contracts/clock.ts';
import { foreignSets, judgeSet, type WantedSet, wantedSets } from '../../core/contracts/dns-batch.ts';
import type { DnsChange, DnsRecordSet } from '../../core/contracts/dns-provider.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import { CerebroError } from '../../core/errors.ts';
import { DnsClient, type DnsServer } from './dns-client.ts';
import type { KnownNames } from './known-names.ts';
import { isStale, RCODE, refusal } from './refusal.ts';
import type { ServerConfig } from './schema.ts';
import { readTsigKey } from './tsig-key.ts';
import { updateMessages } from './update-messages.ts';
import { ZoneReader } from './zone-reader.ts';

/** How often a batch is made anew because somebody else changed its sets meanwhile. */
const ROUNDS = 3;

/** One server that takes dynamic updates (RFC 2136), signed with TSIG (RFC 8945). */
export class UpdateServer {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #config: ServerConfig;
  readonly #known: KnownNames;
  #open: { client: DnsClient; server: DnsServer; reader: ZoneReader } | null = null;

  constructor(services: { clock: Clock; logger: Logger }, config: ServerConfig, known: KnownNames) {
    this.#clock = services.clock;
    this.#logger = services.logger;
    this.#config = config;
    this.#known = known;
  }

  /** Reads the key. The server is not asked: one that is down delays names, nothing else. */
  start(): void {
    if (this.#open) return;
    const { host, port, transport, timeout } = this.#config;
    const server = { host, port, transport, timeoutMs: timeout * 1000, key: readTsigKey(this.#config, this.#logger) };
    const client = new DnsClient(this.#clock, server);
    this.#open = { client, server, reader: new ZoneReader(client, server, this.#known, this.#clock, this.#logger) };
  }

  stop(): void {
    this.#open?.client.close();
    this.#open = null;
  }

  /** null also for a zone that plugins.json does not let Cerebro write. */
  async zoneOf(name: string): Promise<string | null> {
    const zone = await this.#started().reader.zoneOf(name);
    const { zones } = this.#config;
    return zone === null || zones === undefined || zones.includes(zone) ? zone : null;
  }

  list(zone: string, name: string): Promise<DnsRecordSet[]> {
    return this.#started().reader.list(zone, name);
  }

  /**
   * Sends the whole batch at once, with what the caller believes as its prerequisites, so that of two writers one wins. Where
   * one does not hold, it looks which changes are there already, leaves them out and sends the rest.
   */
  async apply(zone: string, changes: readonly DnsChange[]): Promise<void> {
    if (this.#config.zones?.includes(zone) === false)
      throw new CerebroError('forbidden', `${zone} is not among the zones that plugins.json lets Cerebro write`);
    const wanted = wantedSets(zone, changes, this.#config.max_values);
    const names = wanted.map((set) => set.name);
    this.#known.add(names);
    await this.#make(zone, wanted);
    // Somebody who listed meanwhile may have found nothing there yet, and forgotten it.
    this.#known.add(names);
  }

  async #make(zone: string, wanted: readonly WantedSet[]): Promise<void> {
    let due = wanted;
    for (let round = 0; round < ROUNDS && due.length > 0; round++) {
      if (await this.#update(zone, due)) return this.#confirm(zone, due);
      due = await this.#stillDue(zone, due);
    }
    if (due.length > 0) throw foreignSets(due, `somebody changes them on ${this.#config.host} at the same time`);
  }

  /** Whether it was done; false: something is not as believed, and nothing of that message was done. */
  async #update(zone: string, due: readonly WantedSet[]): Promise<boolean> {
    const { client, server, reader } = this.#started();
    for (const message of updateMessages(zone, due)) {
      const reply = await client.update(message);
      if (isStale(reply)) return false;
      if (reply.rcode === RCODE.NOERROR) continue;
      // PowerDNS says no more than REFUSED for a record beside a CNAME.
      const aliased = reply.rcode === RCODE.REFUSED && reply.signed ? await reader.aliased(due) : [];
      if (aliased.length > 0) throw this.#besideAlias(aliased);
      throw refusal(reply, `changes of ${zone}`, server, this.#clock.now());
    }
    return true;
  }

  /** The changes that are not there yet, with what is there now as what is believed. Throws `conflict` for what is somebody else's. */
  async #stillDue(zone: string, sets: readonly WantedSet[]): Promise<WantedSet[]> {
    const there = await this.#started().reader.look(zone, sets);
    const foreign = sets.filter((set, n) => judgeSet(set, there[n] ?? null) === 'foreign');
    if (foreign.length > 0)
      throw foreignSets(
        foreign,
        `${this.#config.host} has something else there than Cerebro made, so it was left alone`,
      );
    return sets.flatMap((set, n) =>
      judgeSet(set, there[n] ?? null) === 'due' ? [{ ...set, was: there[n]?.values ?? null }] : [],
    );
  }

  /** A server may say that all is well and have done nothing: BIND and Knot pass over an A record beside a CNAME in silence. */
  async #confirm(zone: string, sets: readonly WantedSet[]): Promise<void> {
    const { reader } = this.#started();
    const wrong = await reader.differing(zone, sets);
    if (wrong.length === 0) return;
    const aliased = await reader.aliased(wrong);
    if (aliased.length > 0) throw this.#besideAlias(aliased);
    throw foreignSets(
      wrong,
      `${this.#config.host} took the change, and has something else there now: somebody else writes there`,
    );
  }

  #besideAlias(sets: readonly WantedSet[]): CerebroError {
    return foreignSets(
      sets,
      `a CNAME stands there on ${this.#config.host}, and nothing can stand beside a CNAME: remove it`,
    );
  }

  #started(): { client: DnsClient; server: DnsServer; reader: ZoneReader } {
    if (!this.#open) throw new CerebroError('unavailable', 'the DNS provider rfc2136 is not running');
    return this.#open;
  }
}
