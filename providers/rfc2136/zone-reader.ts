import type { Answer } from 'dns-packet';
import type { Clock } from '../../core/contracts/clock.ts';
import { isWithin, type WantedSet } from '../../core/contracts/dns-batch.ts';
import type { DnsRecordSet } from '../../core/contracts/dns-provider.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import type { DnsClient, DnsReply, DnsServer } from './dns-client.ts';
import type { KnownNames } from './known-names.ts';
import { RecordSets } from './record-sets.ts';
import { isStale, RCODE, refusal } from './refusal.ts';
import { checkMessages, type Expected } from './update-messages.ts';

/** Questions that are open at once. */
const AT_ONCE = 8;

/** What stands in a server's zones: by transfer where that is allowed, else by asking for each name that is known. */
export class ZoneReader {
  readonly #client: DnsClient;
  readonly #server: DnsServer;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #known: KnownNames;
  readonly #warned = new Set<string>();

  constructor(client: DnsClient, server: DnsServer, known: KnownNames, clock: Clock, logger: Logger) {
    this.#client = client;
    this.#server = server;
    this.#known = known;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** The zone that the server has for `name`; null when it has none, or has handed the name on to other servers. */
  async zoneOf(name: string): Promise<string | null> {
    for (let asked = name; asked !== ''; asked = asked.split('.').slice(1).join('.')) {
      const reply = await this.#client.ask(asked, 'SOA');
      // A zone that it does not have. Knot does not sign that; a key that is not accepted is NOTAUTH with all of them.
      if (reply.rcode === RCODE.REFUSED || (reply.rcode === RCODE.NOTAUTH && reply.signed && reply.tsigError === null))
        return null;
      this.#expectAnswer(reply, `questions about ${asked}`);
      if (!reply.authoritative) return null;
      // An alias is answered with what it points to, which may be in any zone: the name above it is in its own.
      if (reply.answers.some((record) => record.type === 'CNAME' && sameName(record.name, asked))) continue;
      const soa = [...reply.answers, ...reply.authorities].find((record) => record.type === 'SOA');
      const zone = soa?.name.toLowerCase();
      return zone !== undefined && isWithin(asked, zone) ? zone : null;
    }
    return null;
  }

  async list(zone: string, name: string): Promise<DnsRecordSet[]> {
    const sets = new RecordSets();
    const reply = await this.#client.transfer(zone, (record) => {
      if (isWithin(record.name.toLowerCase(), name)) sets.add(record);
    });
    if (reply.rcode === RCODE.NOERROR) return sets.all();
    // Knot calls it BADKEY; a key that is not good for anything is found out by the questions.
    if (reply.rcode !== RCODE.REFUSED && reply.rcode !== RCODE.NOTAUTH)
      throw this.#refusal(reply, `the transfer of ${zone}`);
    if (!this.#warned.has(zone)) {
      this.#warned.add(zone);
      this.#logger.warn(
        { zone },
        `${this.#server.host} allows no transfer of ${zone}: only names that were written from this host are looked at`,
      );
    }
    return this.#listByAsking(zone, name);
  }

  /** What is there of each set, in their order. */
  look(zone: string, sets: readonly { name: string; type: 'A' | 'TXT' }[]): Promise<(DnsRecordSet | null)[]> {
    return inTurns(sets, (set) => this.#lookAt(zone, set.name, set.type));
  }

  /** Those of the sets that are not there as they are wanted. The TTL is not looked at. */
  async differing(zone: string, sets: readonly WantedSet[]): Promise<WantedSet[]> {
    const expected = ({ name, type, values }: WantedSet): Expected => ({
      name,
      type,
      values: values.length > 0 ? values : null,
    });
    if (await this.#holds(zone, sets.map(expected))) return [];
    const each = await inTurns(sets, (set) => this.#holds(zone, [expected(set)]));
    return sets.filter((_, n) => !each[n]);
  }

  /** Those of the sets at whose names a CNAME stands. */
  async aliased<S extends { name: string }>(sets: readonly S[]): Promise<S[]> {
    const each = await inTurns(sets, async ({ name }) => {
      const reply = await this.#client.ask(name, 'CNAME');
      return reply.signed && reply.answers.some((record) => record.type === 'CNAME' && sameName(record.name, name));
    });
    return sets.filter((_, n) => each[n]);
  }

  async #listByAsking(zone: string, name: string): Promise<DnsRecordSet[]> {
    const names = [...new Set([name, ...this.#known.within(name)])];
    const asked = names.flatMap((known) => [
      { name: known, type: 'A' as const },
      { name: known, type: 'TXT' as const },
    ]);
    const found = (await this.look(zone, asked)).filter((set) => set !== null);
    const there = new Set(found.map((set) => set.name));
    for (const known of names) if (!there.has(known)) this.#known.forget(known);
    return found;
  }

  async #lookAt(zone: string, name: string, type: 'A' | 'TXT'): Promise<DnsRecordSet | null> {
    const reply = await this.#client.ask(name, type);
    this.#expectAnswer(reply, `questions about ${name}`);
    const sets = new RecordSets();
    for (const record of reply.answers) if (record.type === type && sameName(record.name, name)) sets.add(record);
    const [set] = sets.all();
    // A wildcard above it answers for a name that is not there. Prerequisites look at what really is.
    return set === undefined || (await this.#holds(zone, [{ name, type, values: null }])) ? null : set;
  }

  async #holds(zone: string, expected: readonly Expected[]): Promise<boolean> {
    for (const message of checkMessages(zone, expected)) {
      const reply = await this.#client.update(message);
      if (isStale(reply)) return false;
      if (reply.rcode !== RCODE.NOERROR) throw this.#refusal(reply, `a look at ${zone}`);
    }
    return true;
  }

  #expectAnswer(reply: DnsReply, what: string): void {
    const fine = reply.rcode === RCODE.NOERROR || reply.rcode === RCODE.NXDOMAIN;
    if (!fine || !reply.signed || reply.tsigError !== null) throw this.#refusal(reply, what);
  }

  #refusal(reply: DnsReply, what: string): Error {
    return refusal(reply, what, this.#server, this.#clock.now());
  }
}

function sameName(a: Answer['name'], b: string): boolean {
  return a.toLowerCase() === b;
}

/** Runs `work` for each item, some at a time, and gives the results in the items' order. */
async function inTurns<I, R>(items: readonly I[], work: (item: I) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE)
    results.push(...(await Promise.all(items.slice(at, at + AT_ONCE).map(work))));
  return results;
}
