import { join } from 'node:path';
import type { Clock, Timer } from '../../core/contracts/clock.ts';
import type { DnsChange, DnsProvider, DnsRecordSet } from '../../core/contracts/dns-provider.ts';
import type { Logger } from '../../core/contracts/logger.ts';
import { CerebroError, messageOf } from '../../core/errors.ts';
import { DnsServer } from './dns-server.ts';
import type { Config } from './schema.ts';
import { ZoneTable } from './zone-table.ts';

/** A port that is taken is tried again so often: whoever has it may go. */
const AGAIN_MS = 10_000;

interface Services {
  clock: Clock;
  logger: Logger;
  /** Its zones are kept in `dns-local/zones.json` in there. */
  dataDir: string;
}

/**
 * A small authoritative name server in the daemon itself, so that names work on a laptop without anything else:
 * `dig @127.0.0.1 -p 30053 local-a.redis.startup.com`. A port that is taken keeps it from answering, and nothing else.
 */
export class DnsLocal implements DnsProvider {
  readonly name = 'dns-local';
  readonly maxValues = null;
  readonly #services: Services;
  readonly #config: Config;
  readonly #table: ZoneTable;
  readonly #server: DnsServer;
  #trouble: string | null = 'it is not started';
  #timer: Timer | null = null;
  #stopped = true;
  /** One attempt to listen at a time. */
  #attempt: Promise<void> = Promise.resolve();

  constructor(services: Services, config: Config) {
    this.#services = services;
    this.#config = config;
    this.#table = new ZoneTable(config.zones, join(services.dataDir, 'dns-local', 'zones.json'));
    this.#server = new DnsServer(this.#table, services.logger);
  }

  /** 0: it does not listen. */
  get port(): number {
    return this.#server.port;
  }

  async start(): Promise<void> {
    this.#stopped = false;
    try {
      this.#table.load();
    } catch (error) {
      // What should be in there is known elsewhere, and is put there again.
      this.#services.logger.warn({ reason: messageOf(error) }, 'dns-local: its file cannot be read and is begun anew');
    }
    await this.#listen();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = null;
    await this.#attempt;
    await this.#server.close();
    this.#trouble = 'it is stopped';
  }

  async zoneOf(name: string): Promise<string | null> {
    return this.#table.zoneOf(name);
  }

  async list(name: string): Promise<DnsRecordSet[]> {
    return structuredClone(this.#table.list(name));
  }

  async apply(zone: string, changes: readonly DnsChange[]): Promise<void> {
    if (this.#trouble !== null) throw new CerebroError('unavailable', this.#trouble);
    if (changes.length > 0) this.#table.apply(zone, changes);
  }

  #listen(): Promise<void> {
    this.#attempt = this.#tryToListen();
    return this.#attempt;
  }

  async #tryToListen(): Promise<void> {
    const { host, port } = this.#config;
    const { logger, clock } = this.#services;
    try {
      await this.#server.listen(host, port);
      this.#trouble = null;
      logger.info({ host, port: this.#server.port }, 'dns-local answers');
    } catch (error) {
      const sentence = messageOf(error);
      if (this.#trouble !== sentence) logger.warn({ reason: sentence }, 'dns-local does not answer; it is tried again');
      this.#trouble = sentence;
      if (!this.#stopped) this.#timer = clock.timer(AGAIN_MS, () => void this.#listen());
    }
  }
}
