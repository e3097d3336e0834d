import { isWithin } from '../../core/contracts/dns-batch.ts';
import type { DnsProvider } from '../../core/contracts/dns-provider.ts';
import { CerebroError } from '../../core/errors.ts';
import { FaultyCalls } from './faulty-calls.ts';
import type { NameLaws } from './name-laws.ts';
import type { NameZone } from './name-zone.ts';
import type { Network } from './network.ts';
import type { SitterProcess } from './sitter-process.ts';
import type { World } from './world.ts';

const TIMEOUT_MS = 15_000;

export interface DnsProviderParts {
  world: World;
  network: Network;
  nameLaws: NameLaws;
}

/** Keeps names for one process, in one zone. */
export class SimulatedDnsProvider implements DnsProvider {
  readonly name: string;
  readonly maxValues: number | null;
  readonly #parts: DnsProviderParts;
  readonly #process: SitterProcess;
  readonly #zone: NameZone;
  readonly #calls: FaultyCalls;

  constructor(parts: DnsProviderParts, process: SitterProcess, zone: NameZone) {
    this.name = zone.provider;
    this.maxValues = zone.maxValues;
    this.#parts = parts;
    this.#process = process;
    this.#zone = zone;
    this.#calls = new FaultyCalls(parts.world, process, 'dns');
  }

  async start(): Promise<void> {
    await Promise.resolve();
  }

  async stop(): Promise<void> {
    await Promise.resolve();
  }

  zoneOf: DnsProvider['zoneOf'] = (name) =>
    this.#call(`zone of ${name}`, () => (isWithin(name, this.#zone.name) ? this.#zone.name : null), false);

  list: DnsProvider['list'] = (name) => this.#call(`list ${name}`, () => this.#zone.list(name), false);

  apply: DnsProvider['apply'] = async (zone, changes) => {
    const { nameLaws } = this.#parts;
    if (zone !== this.#zone.name) throw new CerebroError('invalid', `${this.name} has no zone ${zone}`);
    nameLaws.onSend(this.#zone, changes, this.#process);
    const what = changes.map((change) =>
      change.kind === 'put' ? setOf(change.set) : `-${change.name}/${change.type}`,
    );
    return this.#call(`names ${what.join(' ')}`, () => nameLaws.onChanged(this.#zone, this.#zone.apply(changes)));
  };

  /** What fails, comes late or comes twice is held against nobody for a while. */
  async #call<T>(what: string, act: () => T, told = true): Promise<T> {
    const zone = this.#zone;
    const trouble = (): void => {
      zone.troubledAt = this.#parts.world.clock.now();
    };
    let [arrived, over] = [false, false];
    const call = { by: this.#process, since: this.#parts.world.clock.now() };
    zone.underWay.add(call);
    try {
      return await this.#calls.make({
        what,
        timeoutMs: TIMEOUT_MS,
        reachable: () => !zone.down && this.#parts.network.reachesProvider(),
        act: () => {
          if (arrived || over || !this.#process.leads || zone.lagMs > 0) trouble();
          arrived = true;
          return act();
        },
        told,
      });
    } catch (error) {
      trouble();
      throw error;
    } finally {
      over = true;
      zone.underWay.delete(call);
    }
  }
}

function setOf({ name, type, values }: { name: string; type: string; values: readonly string[] }): string {
  return type === 'A' ? `${name}=${values.join(',')}` : `${name}/${type}`;
}
