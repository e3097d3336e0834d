import { join } from 'node:path';
import type { Clock } from '../../core/contracts/clock.ts';
import type { DnsChange, DnsProvider, DnsRecordSet } from '../../core/contracts/dns-provider.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import { CerebroError } from '../../core/errors.ts';
import { KnownNames } from './known-names.ts';
import type { Config } from './schema.ts';
import { UpdateServer } from './update-server.ts';

/** Which server has a zone, as it was found last; more than anybody has. */
const MAX_ZONES = 1000;

/** Keeps records in the zones of one or several servers that take dynamic updates. */
export class Rfc2136Provider implements DnsProvider {
  readonly name = 'rfc2136';
  readonly maxValues: number;
  readonly #servers: readonly UpdateServer[];
  readonly #known: KnownNames;
  readonly #serverOf = new Map<string, UpdateServer>();

  constructor(services: { clock: Clock; logger: Logger; dataDir: string }, config: Config) {
    this.#known = new KnownNames(join(services.dataDir, 'dns-rfc2136', 'names'));
    this.#servers = config.servers.map((server) => new UpdateServer(services, server, this.#known));
    this.maxValues = Math.min(...config.servers.map((server) => server.max_values));
  }

  /** Reads keys and known names. Nobody is asked yet: a server that is down delays names, nothing else. */
  async start(): Promise<void> {
    this.#known.load();
    for (const server of this.#servers) server.start();
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) server.stop();
  }

  /** Throws while any server does not answer: it may be the one that has the longest zone. */
  async zoneOf(name: string): Promise<string | null> {
    return (await this.#find(name))?.zone ?? null;
  }

  async list(name: string): Promise<DnsRecordSet[]> {
    const found = await this.#find(name);
    return found ? found.server.list(found.zone, name) : [];
  }

  async apply(zone: string, changes: readonly DnsChange[]): Promise<void> {
    await (await this.#serverFor(zone)).apply(zone, changes);
  }

  async #serverFor(zone: string): Promise<UpdateServer> {
    const [only, ...others] = this.#servers;
    if (only && others.length === 0) return only;
    const known = this.#serverOf.get(zone);
    if (known) return known;
    const found = await this.#find(zone);
    if (found?.zone === zone) return found.server;
    throw new CerebroError('invalid', `none of the DNS servers of rfc2136 has a zone ${zone} that Cerebro may write`);
  }

  async #find(name: string): Promise<{ zone: string; server: UpdateServer } | null> {
    const found = await Promise.all(this.#servers.map(async (server) => ({ server, zone: await server.zoneOf(name) })));
    const [best] = found
      .flatMap(({ server, zone }) => (zone === null ? [] : [{ server, zone }]))
      .sort((a, b) => b.zone.length - a.zone.length);
    if (!best) return null;
    if (this.#serverOf.size >= MAX_ZONES) this.#serverOf.clear();
    this.#serverOf.set(best.zone, best.server);
    return best;
  }
}
